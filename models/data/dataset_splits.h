// Where the images of each split lie in a data set, whose validation split is the last of the
// images that it has for training. Thread-safe: pure functions.
#ifndef ATELIER_MODELS_DATA_DATASET_SPLITS_H_
#define ATELIER_MODELS_DATA_DATASET_SPLITS_H_

#include <cstdint>

#include "models/data/dataset.h"

namespace atelier::models {

enum class DatasetSplit { kTraining, kValidation, kTest };

// `count` images of what is stored as `stored_in`, from `begin` on.
struct SplitRange {
  SplitName stored_in = SplitName::kTest;
  int64_t begin = 0;
  int64_t count = 0;
};

SplitRange RangeOf(DatasetSplit split, const DatasetInfo& info);

// What the headers of such a data set say.
DatasetInfo InfoOf(const Dataset& dataset);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_SPLITS_H_
