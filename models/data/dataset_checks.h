// What a data set's owner should know of it when it is imported, beyond DatasetWarnings: images
// that are repeated, nearly equal or of a single colour, classes with few images or very different
// numbers of them. Told of every image once, as it comes by. Not thread-safe.
#ifndef ATELIER_MODELS_DATA_DATASET_CHECKS_H_
#define ATELIER_MODELS_DATA_DATASET_CHECKS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/data/dataset_warnings.h"
#include "models/data/image_facts.h"
#include "models/data/near_duplicates.h"

namespace atelier::models {

class DatasetChecks {
 public:
  // Training images of a class below which its results will be poor.
  static constexpr int64_t kFewImages = 20;
  // Of the largest class to the smallest, by training images.
  static constexpr int64_t kUnbalanced = 10;

  // `info` must live as long.
  explicit DatasetChecks(const DatasetInfo& info);

  // The next image, those of the training split first. `label` is below the number of classes.
  void Add(SplitName split, int64_t index, ClassLabel label, const ImageFacts& facts);

  // A sentence for each thing that was found, DatasetWarnings' first. `read` reads the pixels of
  // the images that were looked at, counted from 0; its statuses end the search.
  absl::StatusOr<std::vector<std::string>> Sentences(NearDuplicates::ReadPixels read) const;

  // Images of each class.
  const std::vector<int64_t>& training_counts() const { return counts_[0]; }
  const std::vector<int64_t>& validation_counts() const { return counts_[1]; }
  const std::vector<int64_t>& test_counts() const { return counts_[2]; }

 private:
  // Of an image, by its number in the order of Look.
  std::string PlaceOf(uint32_t image) const;
  bool Tests(uint32_t image) const { return image >= info_.training_images; }
  void AddImages(std::vector<std::string>* sentences) const;
  void AddClasses(std::vector<std::string>* sentences) const;
  void AddBalance(std::vector<std::string>* sentences) const;
  void AddNearDuplicates(const std::vector<NearDuplicates::Pair>& pairs,
                         std::vector<std::string>* sentences) const;

  const DatasetInfo& info_;
  DatasetWarnings warnings_;
  NearDuplicates near_;
  std::vector<ClassLabel> labels_;
  // By split: training, validation, test.
  std::vector<int64_t> counts_[3];
  int64_t plain_ = 0;
  uint32_t first_plain_ = 0;
  uint8_t brightest_ = 0;
};

// The sentences of a data set that is in memory. kCancelled if `stop` (may be null) asks to end.
absl::StatusOr<std::vector<std::string>> FindingsOf(const Dataset& dataset, const StopSignal* stop);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_CHECKS_H_
