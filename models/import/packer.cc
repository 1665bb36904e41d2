#include "models/import/packer.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/data/dataset_file.h"
#include "models/data/stored_labels.h"
#include "models/import/listing.h"

namespace atelier::models {
namespace {

// Bytes that a thread reads at once, and that are read before they are packed.
constexpr int64_t kPiece = int64_t{256} << 10;
constexpr int64_t kBatch = int64_t{8} << 20;

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
               int64_t threads, const StopSignal* stop)
    : plan_(plan),
      placed_(placed),
      file_(file),
      stop_(stop),
      info_(InfoOf(plan, placed, std::move(class_names), make_grey)),
      moves_(make_grey || info_.training_images + info_.test_images < plan.places()),
      digest_(info_),
      checks_(info_),
      statistics_(info_.shape),
      team_(std::max<int64_t>(threads, 1)) {}

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
  const auto bytes = absl::MakeConstSpan(packed_).first(std::exchange(unflushed_, 0));
  const auto size = static_cast<int64_t>(bytes.size());
  digest_.Update(bytes);
  const absl::Status status = write ? file_.Write(written_, bytes) : absl::OkStatus();
  if (write) file_.BeginSync(written_, size);
  written_ += size;
  return status;
}

absl::Status Packer::ReadPiece(int64_t batch, int64_t first, int64_t count, PixelStatistics* sums) {
  const int64_t size = placed_.shape.size();
  const auto is_present = [&](int64_t place) {
    return placed_.present[static_cast<size_t>(place)] != 0;
  };
  // Places at the end of the file that were never written are not in it.
  int64_t there = count;
  while (there > 0 && !is_present(first + there - 1)) --there;
  const absl::Span<uint8_t> bytes = absl::MakeSpan(stored_).subspan(
      static_cast<size_t>((first - batch) * size), static_cast<size_t>(there * size));
  if (absl::Status status = file_.Read(placed_.OffsetOf(first, plan_), bytes); !status.ok()) {
    return status;
  }
  for (int64_t i = 0; i < there; ++i) {
    if (!is_present(first + i)) continue;
    // Of a data set that becomes grey the first channel.
    const absl::Span<const uint8_t> image =
        bytes.subspan(static_cast<size_t>(i * size), static_cast<size_t>(info_.shape.size()));
    facts_[static_cast<size_t>(first - batch + i)] = FactsOf(info_.shape, image);
    if (first + i < plan_.training) sums->Look(image);
  }
  return absl::OkStatus();
}

absl::Status Packer::ReadBatch(int64_t first, int64_t count) {
  const int64_t at_once = std::max<int64_t>(1, kPiece / placed_.shape.size());
  const int64_t pieces = (count + at_once - 1) / at_once;
  stored_.resize(static_cast<size_t>(count * placed_.shape.size()));
  facts_.resize(static_cast<size_t>(count));
  std::vector<PixelStatistics> sums(static_cast<size_t>(pieces), PixelStatistics(info_.shape));
  std::vector<absl::Status> statuses(static_cast<size_t>(pieces + 1));
  // What is read lies behind what is written: packing only moves images forward.
  team_.Run(pieces + 1, [&](int64_t piece) {
    const int64_t begin = first + (piece - 1) * at_once;
    statuses[static_cast<size_t>(piece)] =
        piece == 0 ? Flush(moves_)
                   : ReadPiece(first, begin, std::min(at_once, first + count - begin),
                               &sums[static_cast<size_t>(piece - 1)]);
  });
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  for (const PixelStatistics& sum : sums) statistics_.Add(sum);
  return absl::OkStatus();
}

void Packer::TakeBatch(SplitName split, int64_t first, int64_t count) {
  const auto size = static_cast<size_t>(info_.shape.size());
  const auto stored_size = static_cast<size_t>(placed_.shape.size());
  size_t packed = 0;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const size_t place = static_cast<size_t>(first) + i;
    if (placed_.present[place] == 0) continue;
    const ClassLabel label = plan_.labels[place];
    checks_.Add(split, static_cast<int64_t>(labels_.size()), label, facts_[i]);
    labels_.push_back(label);
    if (moves_) std::memmove(&stored_[packed], &stored_[i * stored_size], size);
    packed += size;
  }
  std::swap(stored_, packed_);
  unflushed_ = packed;
}

absl::Status Packer::PackSplit(SplitName split, int64_t first, int64_t end) {
  labels_.clear();
  const int64_t at_once = std::max<int64_t>(1, kBatch / placed_.shape.size());
  for (int64_t place = first; place < end; place += at_once) {
    absl::Status status = CheckStop(stop_);
    const int64_t count = std::min(at_once, end - place);
    if (status.ok()) status = ReadBatch(place, count);
    if (!status.ok()) return status;
    TakeBatch(split, place, count);
  }
  if (absl::Status status = Flush(moves_); !status.ok()) return status;
  packed_ = StoreLabels(labels_, info_.class_names.size());
  unflushed_ = packed_.size();
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
