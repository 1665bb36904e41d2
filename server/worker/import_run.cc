#include "server/worker/import_run.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/import/importer.h"
#include "server/worker/assigned_dataset.h"
#include "server/worker/image_progress.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

constexpr char kFile[] = "packed.dataset";

models::ImportOptions::Color ColorOf(atelier::v1::ImportColor color) {
  switch (color) {
    case atelier::v1::IMPORT_COLOR_GREY:
      return models::ImportOptions::Color::kGrey;
    case atelier::v1::IMPORT_COLOR_RGB:
      return models::ImportOptions::Color::kRgb;
    default:
      return models::ImportOptions::Color::kAuto;
  }
}

models::ImportOptions::Fit FitOf(atelier::v1::ImportFit fit) {
  switch (fit) {
    case atelier::v1::IMPORT_FIT_STRETCH:
      return models::ImportOptions::Fit::kStretch;
    case atelier::v1::IMPORT_FIT_CROP:
      return models::ImportOptions::Fit::kCrop;
    default:
      return models::ImportOptions::Fit::kPad;
  }
}

models::ImportOptions::Axes AxesOf(atelier::v1::ArrayAxes axes) {
  switch (axes) {
    case atelier::v1::ARRAY_AXES_NHW:
      return models::ImportOptions::Axes::kNhw;
    case atelier::v1::ARRAY_AXES_NHWC:
      return models::ImportOptions::Axes::kNhwc;
    case atelier::v1::ARRAY_AXES_NCHW:
      return models::ImportOptions::Axes::kNchw;
    default:
      return models::ImportOptions::Axes::kAuto;
  }
}

models::ImportOptions ImportOptionsOf(const atelier::v1::ImportOptions& from) {
  models::ImportOptions options;
  if (from.height() > 0) options.size = {from.height(), from.width()};
  options.color = ColorOf(from.color());
  options.fit = FitOf(from.fit());
  options.invert = from.invert();
  options.class_names.assign(from.class_names().begin(), from.class_names().end());
  options.test_fraction = from.test_fraction();
  options.validation_fraction = from.validation_fraction();
  options.seed = static_cast<std::uint64_t>(from.seed());
  options.axes = AxesOf(from.axes());
  return options;
}

void FillDataset(const models::ImportReport& report, atelier::v1::Dataset* dataset) {
  dataset->mutable_class_names()->Assign(report.class_names.begin(), report.class_names.end());
  dataset->mutable_image_shape()->set_channels(static_cast<std::int32_t>(report.shape.channels));
  dataset->mutable_image_shape()->set_height(static_cast<std::int32_t>(report.shape.height));
  dataset->mutable_image_shape()->set_width(static_cast<std::int32_t>(report.shape.width));
  dataset->set_training_images(report.training.images);
  dataset->set_validation_images(report.validation.images);
  dataset->set_test_images(report.test.images);
  dataset->set_checksum(report.checksum);
  dataset->mutable_warnings()->Assign(report.warnings.begin(), report.warnings.end());
  const auto at = [](const std::vector<std::int64_t>& counts, std::size_t i) {
    return i < counts.size() ? counts[i] : 0;
  };
  for (std::size_t i = 0; i < report.class_names.size(); ++i) {
    atelier::v1::ClassCounts* counts = dataset->add_class_counts();
    counts->set_training_images(at(report.training.class_counts, i));
    counts->set_validation_images(at(report.validation.class_counts, i));
    counts->set_test_images(at(report.test.class_counts, i));
  }
  dataset->mutable_channel_mean()->Assign(report.mean.begin(), report.mean.end());
  dataset->mutable_channel_deviation()->Assign(report.standard_deviation.begin(),
                                               report.standard_deviation.end());
  dataset->mutable_source()->set_format(report.format);
}

void FillResult(const models::ImportReport& report, double seconds,
                atelier::v1::ImportResult* result) {
  result->set_training_images(report.training.images);
  result->set_validation_images(report.validation.images);
  result->set_test_images(report.test.images);
  result->set_unreadable_count(report.unreadable_count);
  for (const models::UnreadableFile& file : report.unreadable) {
    atelier::v1::UnreadableFile* added = result->add_unreadable();
    added->set_name(file.name);
    added->set_reason(file.reason);
  }
  result->mutable_warnings()->Assign(report.warnings.begin(), report.warnings.end());
  result->set_seconds(seconds);
}

}  // namespace

absl::StatusOr<v1::WorkerEvent> RunImport(const v1::Assignment& assignment,
                                          const models::StopSignal* stop,
                                          const std::function<void(v1::WorkerEvent)>& report) {
  const v1::ImportAssignment& import = assignment.import();
  const std::string output = absl::StrCat(assignment.attempt_dir(), "/", kFile);
  const auto begin = std::chrono::steady_clock::now();
  ImageProgress progress(report);
  progress.Tell(0, 0);
  const models::ImportRun run = {
      .threads = std::max(1, import.spec().cores()),
      .max_bytes = import.max_bytes(),
      .stop = stop,
      .progress = [&](const models::ImportProgress& now) { progress.Tell(now.done, now.total); },
      .log = [](absl::string_view sentence) { spdlog::info("{}", std::string(sentence)); }};
  const auto made = models::ImportDataset(import.source(), import.spec().source_name(),
                                          ImportOptionsOf(import.spec().options()), output, run);
  if (!made.ok()) return made.status();
  std::error_code error;
  const auto size = std::filesystem::file_size(output, error);
  if (error) return absl::InternalError(absl::StrCat(output, ": ", error.message()));
  spdlog::info("{}: {} training, {} validation and {} test images, {} files unreadable",
               made->format, made->training.images, made->validation.images, made->test.images,
               made->unreadable_count);

  report(PhaseEvent(v1::PHASE_STORING));
  v1::WorkerEvent event;
  v1::ImportOutcome* outcome = event.mutable_import_outcome();
  FillResult(*made, SecondsSince(begin), outcome->mutable_result());
  FillDataset(*made, outcome->mutable_dataset());
  outcome->mutable_dataset()->set_size_bytes(static_cast<std::int64_t>(size));
  outcome->set_file(kFile);
  outcome->set_size_bytes(static_cast<std::int64_t>(size));
  return event;
}

}  // namespace atelier::worker
