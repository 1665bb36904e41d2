#include "models/import/packer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/data/dataset_file.h"
#include "models/data/stored_labels.h"
#include "models/import/listing.h"

namespace atelier::models {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;

// What is left once the places of unreadable images are closed.
DatasetInfo InfoOf(const SplitPlan& plan, const PlacedImages& placed,
                   std::vector<std::string> class_names, bool make_grey) {
  const auto begin = placed.present.begin();
  const auto count = [&](int64_t from, int64_t to) {
    return static_cast<int64_t>(std::count(begin + from, begin + to, 1));
  };
  DatasetInfo info;
  info.shape = placed.shape;
  if (make_grey) info.shape.channels = 1;
  info.class_names = std::move(class_names);
  const int64_t before_test = plan.training + plan.validation;
  info.training_images = count(0, before_test);
  info.validation_images = count(plan.training, before_test);
  info.test_images = count(before_test, plan.places());
  return info;
}

}  // namespace

Packer::Packer(const SplitPlan& plan, const PlacedImages& placed,
               std::vector<std::string> class_names, bool make_grey, const OutputFile& file,
               const StopSignal* stop)
    : plan_(plan),
      placed_(placed),
      file_(file),
      stop_(stop),
      info_(InfoOf(plan, placed, std::move(class_names), make_grey)),
      moves_(make_grey || info_.training_images + info_.test_images < plan.places()),
      digest_(info_),
      checks_(info_),
      statistics_(info_.shape) {}

absl::Status Packer::CheckLeft() const {
  const auto bad = [](absl::string_view message) {
    return Failure(FailureReason::kBadData, message);
  };
  if (plan_.training > 0 && info_.training_images == info_.validation_images) {
    return bad("no training image is left");
  }
  if (info_.test_images == 0) return bad("no test image is left");
  return absl::OkStatus();
}

absl::Status Packer::Flush(bool write) {
  digest_.Update(packed_);
  const absl::Status status = write ? file_.Write(written_, packed_) : absl::OkStatus();
  written_ += static_cast<int64_t>(packed_.size());
  packed_.clear();
  return status;
}

absl::Status Packer::PackImage(SplitName split, int64_t place, const uint8_t* stored) {
  const absl::Span<const uint8_t> image(stored, static_cast<size_t>(info_.shape.size()));
  const ClassLabel label = plan_.labels[static_cast<size_t>(place)];
  checks_.Look(split, static_cast<int64_t>(labels_.size()), label, image);
  if (place < plan_.training) statistics_.Look(image);
  labels_.push_back(label);
  packed_.insert(packed_.end(), image.begin(), image.end());
  return static_cast<int64_t>(packed_.size()) >= kPiece ? Flush(moves_) : absl::OkStatus();
}

absl::Status Packer::PackPiece(SplitName split, int64_t first, int64_t count) {
  const int64_t size = placed_.shape.size();
  // What is read lies behind what is written: packing only moves images forward.
  const absl::Span<uint8_t> bytes =
      absl::MakeSpan(stored_).first(static_cast<size_t>(count * size));
  // Places at the end of the file that were never written are not in it.
  int64_t there = count;
  while (there > 0 && placed_.present[static_cast<size_t>(first + there - 1)] == 0) --there;
  absl::Status status =
      file_.Read(placed_.OffsetOf(first, plan_), bytes.first(static_cast<size_t>(there * size)));
  for (int64_t i = 0; i < there && status.ok(); ++i) {
    if (placed_.present[static_cast<size_t>(first + i)] == 0) continue;
    status = PackImage(split, first + i, bytes.data() + i * size);
  }
  return status;
}

absl::Status Packer::PackSplit(SplitName split, int64_t first, int64_t end) {
  labels_.clear();
  const int64_t at_once = std::max<int64_t>(1, kPiece / placed_.shape.size());
  stored_.resize(static_cast<size_t>(at_once * placed_.shape.size()));
  for (int64_t place = first; place < end; place += at_once) {
    absl::Status status = CheckStop(stop_);
    if (status.ok()) status = PackPiece(split, place, std::min(at_once, end - place));
    if (!status.ok()) return status;
  }
  if (absl::Status status = Flush(moves_); !status.ok()) return status;
  packed_ = StoreLabels(labels_, info_.class_names.size());
  return Flush(true);
}

ImportReport Packer::Report() const {
  ImportReport report;
  report.shape = info_.shape;
  report.class_names = info_.class_names;
  report.training = {info_.training_images - info_.validation_images, checks_.training_counts()};
  report.validation = {info_.validation_images, checks_.validation_counts()};
  report.test = {info_.test_images, checks_.test_counts()};
  report.mean = statistics_.Means();
  report.standard_deviation = statistics_.Deviations();
  return report;
}

absl::StatusOr<ImportReport> Packer::Pack(std::vector<std::string> warnings) {
  const int64_t before_test = plan_.training + plan_.validation;
  absl::Status status = CheckLeft();
  if (status.ok()) status = PackSplit(SplitName::kTraining, 0, before_test);
  if (status.ok()) status = PackSplit(SplitName::kTest, before_test, plan_.places());
  if (!status.ok()) return status;
  ImportReport report = Report();
  report.warnings = std::move(warnings);
  const absl::StatusOr<std::vector<std::string>> found =
      checks_.Sentences([&](uint32_t image, absl::Span<uint8_t> pixels) {
        if (absl::Status stopped = CheckStop(stop_); !stopped.ok()) return stopped;
        // Those of the training images lie before the test images.
        const int64_t labels =
            image < info_.training_images ? 0 : info_.training_images * info_.label_bytes();
        return file_.Read(image * info_.shape.size() + labels, pixels);
      });
  if (!found.ok()) return found.status();
  report.warnings.insert(report.warnings.end(), found->begin(), found->end());
  report.checksum = digest_.Finish();
  status = DatasetFile::Seal(file_.descriptor(), file_.path(),
                             {info_, report.checksum, report.warnings});
  if (!status.ok()) return Failure(FailureReason::kInternal, status.message());
  return report;
}

}  // namespace atelier::models
