// Which training images are held back for validation: those that the data set says, or chosen by
// the seed, of every class in proportion. Pure functions.
#ifndef ATELIER_MODELS_DATA_VALIDATION_SPLIT_H_
#define ATELIER_MODELS_DATA_VALIDATION_SPLIT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/data/dataset.h"

namespace atelier::models {

// Indices of training images, each in one of the two, in an order that the seed gives.
struct ValidationSplit {
  std::vector<int32_t> training;
  std::vector<int32_t> validation;
};

// Holds `held_back` images back, 1 to half of the images that there are.
ValidationSplit SplitByClass(const LabeledImages& images, int64_t classes, int64_t held_back,
                             uint64_t seed);

// The data set's own split if it brings one; else as SplitByClass.
ValidationSplit SplitOf(const Dataset& dataset, int64_t held_back, uint64_t seed);

// How many images of each class that holds back: in proportion to `counts`, rounded to whole
// images. A class of several images has one at least, the largest classes first if there are fewer
// to hold back than classes, and a class' only image stays with the training images. Only where
// that leaves too few are single images held back. Their sum is `held_back`.
std::vector<int64_t> HeldBackByClass(const std::vector<int64_t>& counts, int64_t held_back);

// How many of the images at `indices` each class has.
std::vector<int64_t> CountByClass(const LabeledImages& images, absl::Span<const int32_t> indices,
                                  int64_t classes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_VALIDATION_SPLIT_H_
