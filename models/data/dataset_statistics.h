// What a data set's images are like: how many of each class, how bright. Thread-safe: a free
// function.
#ifndef ATELIER_MODELS_DATA_DATASET_STATISTICS_H_
#define ATELIER_MODELS_DATA_DATASET_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset_file.h"

namespace atelier::models {

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
absl::StatusOr<DatasetStatistics> StatisticsOf(const DatasetFile& file, const StopSignal* stop);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_STATISTICS_H_
