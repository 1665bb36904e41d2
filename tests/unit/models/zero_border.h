// Padded images for tests of convolutions.
#ifndef ATELIER_TESTS_UNIT_MODELS_ZERO_BORDER_H_
#define ATELIER_TESTS_UNIT_MODELS_ZERO_BORDER_H_

#include <algorithm>
#include <cstdint>

#include "models/base/float_buffer.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {

// A padded image with zeros in its border.
inline FloatBuffer WithZeroBorder(const ConvolutionShape& shape, int64_t channels,
                                  FloatBuffer image) {
  for (int64_t y = 0; y < shape.height + 2; ++y) {
    for (int64_t x = 0; x < shape.width + 2; ++x) {
      if (y > 0 && y <= shape.height && x > 0 && x <= shape.width) continue;
      std::fill_n(image.data() + (y * (shape.width + 2) + x) * channels, channels, 0.0F);
    }
  }
  return image;
}

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_ZERO_BORDER_H_
