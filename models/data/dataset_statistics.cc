#include "models/data/dataset_statistics.h"

#include <algorithm>
#include <cmath>

#include "models/base/check_stop.h"
#include "models/base/class_label.h"

namespace atelier::models {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr double kWhite = 255;
// The squares of so many pixels fit 32 bits.
constexpr size_t kBlock = size_t{1} << 16;

absl::StatusOr<PixelStatistics> SumPixels(const DatasetFile& file, int64_t images,
                                          const StopSignal* stop) {
  const ImageShape& shape = file.summary().info.shape;
  const auto size = static_cast<size_t>(shape.size());
  PixelStatistics sums(shape);
  const int64_t step = std::max<int64_t>(1, kPieceBytes / shape.size());
  for (int64_t at = 0; at < images; at += step) {
    if (absl::Status status = CheckStop(stop, "reading the data"); !status.ok()) return status;
    const auto pixels = file.ReadPixels(SplitName::kTraining, at, std::min(step, images - at));
    if (!pixels.ok()) return pixels.status();
    for (size_t first = 0; first < pixels->size(); first += size) {
      sums.Look(absl::MakeConstSpan(*pixels).subspan(first, size));
    }
  }
  return sums;
}

std::vector<int64_t> Count(absl::Span<const ClassLabel> labels, size_t classes) {
  std::vector<int64_t> counts(classes);
  for (const ClassLabel label : labels) {
    if (label < classes) ++counts[label];
  }
  return counts;
}

}  // namespace

PixelStatistics::PixelStatistics(const ImageShape& shape)
    : shape_(shape),
      sums_(static_cast<size_t>(shape.channels)),
      squares_(static_cast<size_t>(shape.channels)) {}

void PixelStatistics::Look(absl::Span<const uint8_t> image) {
  const auto plane = static_cast<size_t>(shape_.height * shape_.width);
  for (size_t c = 0; c < sums_.size(); ++c) {
    const uint8_t* const pixels = image.data() + c * plane;
    for (size_t first = 0; first < plane; first += kBlock) {
      uint32_t sum = 0;
      uint32_t squares = 0;
      for (size_t i = first; i < std::min(first + kBlock, plane); ++i) {
        sum += pixels[i];
        squares += uint32_t{pixels[i]} * pixels[i];
      }
      sums_[c] += sum;
      squares_[c] += squares;
    }
  }
  ++images_;
}

void PixelStatistics::Add(const PixelStatistics& other) {
  for (size_t c = 0; c < sums_.size(); ++c) {
    sums_[c] += other.sums_[c];
    squares_[c] += other.squares_[c];
  }
  images_ += other.images_;
}

std::vector<double> PixelStatistics::Means() const {
  std::vector<double> means;
  if (images_ == 0) return means;
  const auto count = static_cast<double>(images_ * shape_.height * shape_.width);
  for (const uint64_t sum : sums_) means.push_back(static_cast<double>(sum) / count / kWhite);
  return means;
}

std::vector<double> PixelStatistics::Deviations() const {
  std::vector<double> deviations;
  const std::vector<double> means = Means();
  if (images_ == 0) return deviations;
  const auto count = static_cast<double>(images_ * shape_.height * shape_.width);
  for (size_t c = 0; c < squares_.size(); ++c) {
    const double square = static_cast<double>(squares_[c]) / count / (kWhite * kWhite);
    deviations.push_back(std::sqrt(std::max(square - means[c] * means[c], 0.0)));
  }
  return deviations;
}

absl::StatusOr<DatasetStatistics> StatisticsOf(const DatasetFile& file, const StopSignal* stop) {
  const DatasetInfo& info = file.summary().info;
  const int64_t images = info.training_images - info.validation_images;
  const auto training = file.ReadLabels(SplitName::kTraining);
  if (!training.ok()) return training.status();
  const auto test = file.ReadLabels(SplitName::kTest);
  if (!test.ok()) return test.status();
  const auto sums = SumPixels(file, images, stop);
  if (!sums.ok()) return sums.status();
  const auto all = absl::MakeConstSpan(*training);
  const size_t classes = info.class_names.size();
  DatasetStatistics statistics;
  statistics.training = Count(all.first(static_cast<size_t>(images)), classes);
  statistics.validation = Count(all.subspan(static_cast<size_t>(images)), classes);
  statistics.test = Count(*test, classes);
  statistics.mean = sums->Means();
  statistics.standard_deviation = sums->Deviations();
  return statistics;
}

}  // namespace atelier::models
