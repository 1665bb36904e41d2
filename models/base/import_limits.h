// What may be asked of an import: the client, the server and the importer refuse the same.
#ifndef ATELIER_MODELS_BASE_IMPORT_LIMITS_H_
#define ATELIER_MODELS_BASE_IMPORT_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace atelier::models {

// Largest height and width of a data set's images.
inline constexpr int64_t kMaxImportSide = 512;
// Bytes of a class' name.
inline constexpr size_t kMaxClassNameBytes = 200;
// Of the images that are held back for the validation or the test split.
inline constexpr double kMaxHeldBack = 0.5;
// As the test fraction: all images of the source become the test split, whatever it brings.
inline constexpr double kAllForTest = 1;
// The share of the images that tests where neither the source nor the caller says it.
inline constexpr double kDefaultTestFraction = 0.2;

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_IMPORT_LIMITS_H_
