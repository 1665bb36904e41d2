#include "models/import/importer.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/base/import_limits.h"
#include "models/data/dataset.h"
#include "models/data/stored_labels.h"
#include "models/files/archive_reader.h"
#include "models/import/image_pipeline.h"
#include "models/import/output_file.h"
#include "models/import/packer.h"
#include "models/import/source.h"
#include "models/import/source_kinds.h"
#include "models/import/split_plan.h"

namespace atelier::models {
namespace {

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

std::string SizeText(int64_t height, int64_t width) { return absl::StrCat(height, "x", width); }

// The shape in which images are placed; those of a data set that may turn out grey have three
// channels until then.
absl::StatusOr<ImageShape> ShapeOf(const ImportOptions& options, const SourceContents& contents,
                                   int64_t max_bytes) {
  const ImportOptions::Size size = options.size.value_or(contents.size);
  if (size.height > kMaxImportSide || size.width > kMaxImportSide) {
    return BadData(absl::StrCat("most of its images are ", SizeText(size.height, size.width),
                                " pixels; a data set's are at most ",
                                SizeText(kMaxImportSide, kMaxImportSide),
                                ": choose a size, such as --size 64x64"));
  }
  const bool colour = options.color == ImportOptions::Color::kRgb ||
                      (options.color == ImportOptions::Color::kAuto && contents.colour);
  const ImageShape shape = {colour ? 3 : 1, size.height, size.width};
  const auto images = static_cast<int64_t>(contents.labels.size());
  const int64_t limit = std::min(max_bytes, Dataset::kMaxSplitBytes);
  const int64_t bytes = images * (shape.size() + StoredLabelBytes(contents.class_names.size()));
  if (bytes > limit) {
    return BadData(absl::StrCat(images, " images of ", SizeText(size.height, size.width), " with ",
                                shape.channels, " channels take ", bytes, " bytes; at most ", limit,
                                " are accepted: choose a smaller size"));
  }
  return shape;
}

void WarnOfSizes(const ImportOptions& options, const ImageShape& shape, SourceContents* contents) {
  if (contents->other_sizes == 0) return;
  constexpr absl::string_view kHow[] = {"padded", "stretched", "cropped"};
  contents->warnings.push_back(absl::StrCat(
      contents->other_sizes, " images are of other sizes than ",
      SizeText(contents->size.height, contents->size.width), " and were scaled and ",
      kHow[static_cast<size_t>(options.fit)], " to ", SizeText(shape.height, shape.width), "."));
}

// Classes that the source names have images; numbers may have gaps.
absl::Status CheckClasses(const SourceContents& contents, const SplitPlan& plan,
                          const PlacedImages& placed) {
  std::vector<bool> seen(contents.class_names.size());
  for (size_t i = 0; i < placed.present.size(); ++i) {
    if (placed.present[i] != 0) seen[plan.labels[i]] = true;
  }
  for (size_t i = 0; i < seen.size() && contents.named; ++i) {
    if (seen[i]) continue;
    return BadData(absl::StrCat("the class '", PrintableName(contents.class_names[i]),
                                "' has no images that can be read"));
  }
  return absl::OkStatus();
}

void Log(const ImportRun& run, const std::string& sentence) {
  if (run.log) run.log(sentence);
}

absl::StatusOr<ImportReport> Import(const SourceRequest& request, const ImportOptions& options,
                                    const ImportRun& run) {
  UnreadableFiles unreadable;
  absl::StatusOr<std::unique_ptr<Source>> source = OpenSource(request, options, run, &unreadable);
  if (!source.ok()) return source.status();
  SourceContents contents = (*source)->TakeContents();
  Log(run, absl::StrCat(request.name, " is ", contents.format, ": ", contents.labels.size(),
                        " images, ", contents.class_names.size(), " classes"));
  absl::Status status =
      unreadable.Check(static_cast<int64_t>(contents.labels.size()) + unreadable.count());
  if (status.ok()) status = NameClasses(options, &contents);
  if (!status.ok()) return status;
  absl::StatusOr<SplitPlan> plan = PlanSplits(options, &contents);
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<ImageShape> shape = ShapeOf(options, contents, run.max_bytes);
  if (!shape.ok()) return shape.status();
  WarnOfSizes(options, *shape, &contents);

  absl::StatusOr<OutputFile> file = OutputFile::Create(request.scratch);
  if (!file.ok()) return file.status();
  const absl::StatusOr<PlacedImages> placed =
      ImagePipeline(options, run, *plan, source->get(), *file, &unreadable).Run(*shape);
  if (!placed.ok()) return placed.status();
  source->reset();
  if (status = CheckClasses(contents, *plan, *placed); !status.ok()) return status;
  Log(run, "every image is decoded; checking the data set");
  const bool make_grey =
      options.color == ImportOptions::Color::kAuto && shape->channels == 3 && placed->all_grey;
  absl::StatusOr<ImportReport> report =
      Packer(*plan, *placed, contents.class_names, make_grey, *file, run.threads, run.stop)
          .Pack(std::move(contents.warnings));
  if (!report.ok()) return report;
  if (status = file->Keep(); !status.ok()) return status;
  report->format = contents.format;
  report->unreadable = unreadable.first();
  report->unreadable_count = unreadable.count();
  return report;
}

}  // namespace

absl::StatusOr<ImportReport> ImportDataset(const std::string& source,
                                           const std::string& source_name,
                                           const ImportOptions& options, const std::string& output,
                                           const ImportRun& run) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  const std::string name = PrintableName(source_name);
  absl::StatusOr<ImportReport> report = GuardExceptions("importing", [&] {
    return Import({source, name, output}, options, run);
  });
  if (report.ok() || ReasonOf(report.status()) != FailureReason::kBadData) return report;
  return BadData(absl::StrCat("cannot import ", name, ": ", report.status().message()));
}

}  // namespace atelier::models
