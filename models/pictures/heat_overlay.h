// A map of numbers over the image they are about, as one picture. Thread-safe: a free function and
// values.
#ifndef ATELIER_MODELS_PICTURES_HEAT_OVERLAY_H_
#define ATELIER_MODELS_PICTURES_HEAT_OVERLAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/image_shape.h"
#include "models/base/pixel_span.h"

namespace atelier::models {

// Height × width numbers, row by row, spread evenly over an image.
struct HeatMap {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<float> values;
};

struct HeatOverlay {
  // Pixels along an edge of a pixel of the image.
  int64_t zoom = 1;
  // A PNG file.
  std::string png;
};

// Draws the image in grey and over it the numbers, interpolated linearly between their centres.
// Their colours get lighter with their magnitude on both sides of 0, which is black: over orange to
// light yellow above it, over blue to light blue below. The largest magnitude is lightest; numbers
// that are not finite count as 0. Requires one image of that shape, at least one number and a zoom
// of at least 1, which is lowered where the picture would have more than `max_pixels`. kInternal if
// the PNG file cannot be made.
absl::StatusOr<HeatOverlay> DrawHeat(const ImageShape& shape, const PixelSpan& image,
                                     const HeatMap& heat, int64_t zoom, int64_t max_pixels);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_HEAT_OVERLAY_H_
