// Pixels as callers hold them. A value.
#ifndef ATELIER_MODELS_BASE_PIXEL_SPAN_H_
#define ATELIER_MODELS_BASE_PIXEL_SPAN_H_

#include <cstdint>
#include <variant>

#include "absl/types/span.h"

namespace atelier::models {

// Images side by side, N×C×H×W: bytes 0 to 255, or floats in [0,1].
using PixelSpan = std::variant<absl::Span<const uint8_t>, absl::Span<const float>>;

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_PIXEL_SPAN_H_
