// What a data set's images are like: how many of each class, how bright.
#ifndef ATELIER_MODELS_DATA_DATASET_STATISTICS_H_
#define ATELIER_MODELS_DATA_DATASET_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset_file.h"

namespace atelier::models {

// Sums over the pixels of images of one shape, by channel. Whole numbers: exact, whatever the
// order. Not thread-safe.
class PixelStatistics {
 public:
  explicit PixelStatistics(const ImageShape& shape);
  void Look(absl::Span<const uint8_t> image);
  // The images that another of the same shape has looked at.
  void Add(const PixelStatistics& other);
  // Of pixels in [0,1]; empty if there was no image.
  std::vector<double> Means() const;
  std::vector<double> Deviations() const;

 private:
  const ImageShape shape_;
  int64_t images_ = 0;
  std::vector<uint64_t> sums_;
  std::vector<uint64_t> squares_;
};

struct DatasetStatistics {
  // Images of each class; the validation split's are those that the data set brings.
  std::vector<int64_t> training;
  std::vector<int64_t> validation;
  std::vector<int64_t> test;
  // Of the pixels of the training images, without validation, as fractions, by channel.
  std::vector<double> mean;
  std::vector<double> standard_deviation;
};

// Reads all of the training images, in pieces. DATA_LOSS if the file became shorter, kCancelled.
// Thread-safe.
absl::StatusOr<DatasetStatistics> StatisticsOf(const DatasetFile& file, const StopSignal* stop);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_STATISTICS_H_
