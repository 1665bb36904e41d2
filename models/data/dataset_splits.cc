#include "models/data/dataset_splits.h"

namespace atelier::models {

SplitRange RangeOf(DatasetSplit split, const DatasetInfo& info) {
  const int64_t training = info.training_images - info.validation_images;
  switch (split) {
    case DatasetSplit::kTraining:
      return {SplitName::kTraining, 0, training};
    case DatasetSplit::kValidation:
      return {SplitName::kTraining, training, info.validation_images};
    case DatasetSplit::kTest:
      break;
  }
  return {SplitName::kTest, 0, info.test_images};
}

DatasetInfo InfoOf(const Dataset& dataset) {
  return {dataset.shape(), dataset.class_names(), dataset.training().size(), dataset.test().size(),
          dataset.validation_images()};
}

}  // namespace atelier::models
