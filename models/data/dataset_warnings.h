// What looks wrong in a data set without making it unusable: test or validation images that are
// among the training images, equal images of different classes, class names that are equal or hold
// NUL, images that look stored as height × width × channels. Looks at every image once, as it comes
// by. Not thread-safe.
#ifndef ATELIER_MODELS_DATA_DATASET_WARNINGS_H_
#define ATELIER_MODELS_DATA_DATASET_WARNINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/data/dataset.h"

namespace atelier::models {

class DatasetWarnings {
 public:
  // Images that are compared with each other, which takes about 20 bytes of memory each; what comes
  // after them is not looked at.
  static constexpr size_t kMaxCompared = size_t{1} << 22;

  // `info` must live as long.
  explicit DatasetWarnings(const DatasetInfo& info) : info_(info) {}

  // The next image, those of the training split first. `label` is below the number of classes.
  void Look(SplitName split, int64_t index, ClassLabel label, absl::Span<const uint8_t> image);
  // The same by the hash of its bytes, see ImageFacts::content.
  void Add(SplitName split, int64_t index, ClassLabel label, uint64_t content);

  // Images that equal an earlier one of the same split and class.
  int64_t repeated() const { return repeated_; }

  // A sentence for each thing that was found.
  std::vector<std::string> Sentences() const;

 private:
  struct Place {
    uint32_t index = 0;
    ClassLabel label = 0;
    SplitName split = SplitName::kTraining;
  };
  // How often something was found, and where first.
  struct Pairs {
    int64_t count = 0;
    Place earlier;
    Place later;

    void Add(const Place& one, const Place& other) {
      if (count++ > 0) return;
      earlier = one;
      later = other;
    }
  };

  bool Validates(const Place& place) const {
    return place.split == SplitName::kTraining &&
           place.index >= info_.training_images - info_.validation_images;
  }
  std::string WithClass(const Place& place) const;
  void AddNames(std::vector<std::string>* sentences) const;

  const DatasetInfo& info_;
  // The first image of each content, by its hash: of 64 bits, so that no two differ by chance.
  absl::flat_hash_map<uint64_t, Place> seen_;
  Pairs in_both_;
  Pairs validated_;
  int64_t repeated_ = 0;
  Pairs two_labels_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_WARNINGS_H_
