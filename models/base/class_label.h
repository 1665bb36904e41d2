// The class of an image as a number: an index into the names of a data set's classes.
#ifndef ATELIER_MODELS_BASE_CLASS_LABEL_H_
#define ATELIER_MODELS_BASE_CLASS_LABEL_H_

#include <cstdint>

namespace atelier::models {

using ClassLabel = uint16_t;

// Classes that a data set and a network may have; at least two.
inline constexpr int64_t kMaxClasses = 1000;

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_CLASS_LABEL_H_
