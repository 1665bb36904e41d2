// What becomes of a picture's transparent pixels. Thread-safe: free functions.
#ifndef ATELIER_MODELS_PICTURES_TRANSPARENCY_H_
#define ATELIER_MODELS_PICTURES_TRANSPARENCY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace atelier::models {

// Lays pixels of `colours` bytes (1 or 3) with alpha behind them over white, as every viewer does,
// but over black if nothing would be seen on white; in place. kInvalidArgument if nothing is seen
// on any.
absl::Status LayOverGround(size_t colours, std::vector<uint8_t>* pixels);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_TRANSPARENCY_H_
