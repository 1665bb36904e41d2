// The size of an image. A value.
#ifndef ATELIER_MODELS_BASE_IMAGE_SHAPE_H_
#define ATELIER_MODELS_BASE_IMAGE_SHAPE_H_

#include <cstdint>

namespace atelier::models {

// Size of an image: channels × height × width, in this order wherever pixels are stored in a row.
struct ImageShape {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;

  // Numbers in one image.
  int64_t size() const { return channels * height * width; }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_IMAGE_SHAPE_H_
