// Labels as a packed data set stores them: a byte each where there are up to 256 classes, else two
// bytes, the lower one first. Pure functions.
#ifndef ATELIER_MODELS_DATA_STORED_LABELS_H_
#define ATELIER_MODELS_DATA_STORED_LABELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/base/class_label.h"

namespace atelier::models {

// Bytes of one label.
int64_t StoredLabelBytes(size_t classes);

// Labels below `classes` to their bytes, and back; the bytes must be whole labels.
std::vector<uint8_t> StoreLabels(absl::Span<const ClassLabel> labels, size_t classes);
std::vector<ClassLabel> LoadLabels(absl::Span<const uint8_t> bytes, size_t classes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_STORED_LABELS_H_
