// An image shown anew through an affine map, by bilinear interpolation of bytes. Values and pure
// functions; thread-safe.
#ifndef ATELIER_MODELS_DATA_IMAGE_RESAMPLING_H_
#define ATELIER_MODELS_DATA_IMAGE_RESAMPLING_H_

#include <cstdint>

#include "models/base/image_shape.h"

namespace atelier::models {

// A rectangle of an image, in pixels.
struct ImagePart {
  int64_t top = 0;
  int64_t left = 0;
  int64_t height = 0;
  int64_t width = 0;
};

// Where a pixel of the result comes from, in pixels from the centre of the first one: (row, column)
// is row = row_0 + row_by_row · y + row_by_column · x, and so on.
struct AffineMap {
  double row_0 = 0;
  double row_by_row = 1;
  double row_by_column = 0;
  double column_0 = 0;
  double column_by_row = 0;
  double column_by_column = 1;
};

// Shows a part of an image in the size of the whole, rotated about the centre by so many degrees,
// counter-clockwise.
AffineMap MapOfPart(const ImageShape& shape, const ImagePart& part, double degrees);

// Mirrored, left to right, then moved.
struct Movement {
  bool mirrored = false;
  int64_t down = 0;
  int64_t right = 0;
};

// `pixels` and `result` are shape.size() bytes each, channels × height × width. Zeros come in by
// moving, and where a map leads out of the image; up to half a pixel beyond its outermost pixels
// these are shown.
void Move(const ImageShape& shape, const Movement& movement, const uint8_t* pixels,
          uint8_t* result);
// Mapped, then moved.
void Resample(const ImageShape& shape, const AffineMap& map, const Movement& movement,
              const uint8_t* pixels, uint8_t* result);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_IMAGE_RESAMPLING_H_
