// Pixels as callers hold them, and as networks take them. Values and pure functions.
#ifndef ATELIER_MODELS_BASE_PIXEL_SPAN_H_
#define ATELIER_MODELS_BASE_PIXEL_SPAN_H_

#include <cstdint>
#include <variant>

#include "absl/types/span.h"

namespace atelier::models {

// Images side by side, N×C×H×W: bytes 0 to 255, or floats in [0,1].
using PixelSpan = std::variant<absl::Span<const uint8_t>, absl::Span<const float>>;

// A pixel as a number in [0,1].
inline float ToUnit(uint8_t value) { return static_cast<float>(value) / 255.0F; }
inline float ToUnit(float value) { return value; }

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_PIXEL_SPAN_H_
