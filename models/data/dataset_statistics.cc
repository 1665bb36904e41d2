#include "models/data/dataset_statistics.h"

#include <algorithm>
#include <cmath>

#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr double kWhite = 255;

// Sums of one channel's pixels. Whole numbers: exact, whatever the order.
struct Sums {
  uint64_t pixels = 0;
  uint64_t sum = 0;
  uint64_t squares = 0;

  void Add(absl::Span<const uint8_t> bytes) {
    pixels += bytes.size();
    for (const uint8_t byte : bytes) {
      sum += byte;
      squares += uint64_t{byte} * byte;
    }
  }
  double Mean() const { return static_cast<double>(sum) / static_cast<double>(pixels) / kWhite; }
  double Deviation() const {
    const double mean_square =
        static_cast<double>(squares) / static_cast<double>(pixels) / (kWhite * kWhite);
    return std::sqrt(std::max(0.0, mean_square - Mean() * Mean()));
  }
};

absl::StatusOr<std::vector<Sums>> SumPixels(const DatasetFile& file, int64_t images,
                                            const StopSignal* stop) {
  const ImageShape& shape = file.summary().info.shape;
  const auto area = static_cast<size_t>(shape.height * shape.width);
  std::vector<Sums> sums(static_cast<size_t>(shape.channels));
  const int64_t step = std::max<int64_t>(1, kPieceBytes / shape.size());
  for (int64_t at = 0; at < images; at += step) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) {
      return Failure(FailureReason::kCancelled, "asked to stop while reading the data");
    }
    const auto pixels = file.ReadPixels(SplitName::kTraining, at, std::min(step, images - at));
    if (!pixels.ok()) return pixels.status();
    for (size_t plane = 0; plane * area < pixels->size(); ++plane) {
      sums[plane % sums.size()].Add(absl::MakeConstSpan(*pixels).subspan(plane * area, area));
    }
  }
  return sums;
}

std::vector<int64_t> Count(absl::Span<const uint8_t> labels, size_t classes) {
  std::vector<int64_t> counts(classes);
  for (const uint8_t label : labels) {
    if (label < classes) ++counts[label];
  }
  return counts;
}

}  // namespace

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
  for (const Sums& channel : *sums) {
    statistics.mean.push_back(channel.Mean());
    statistics.standard_deviation.push_back(channel.Deviation());
  }
  return statistics;
}

}  // namespace atelier::models
