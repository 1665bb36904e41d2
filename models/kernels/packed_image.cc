#include "models/kernels/packed_image.h"

#include <algorithm>

#include "models/base/pixel_span.h"
#include "models/kernels/layer_kernels.h"

namespace atelier::models {
namespace {

void PlaceRow(const uint8_t* from, int64_t count, float* to) { PixelsToUnit(from, count, to); }
void PlaceRow(const float* from, int64_t count, float* to) { std::copy_n(from, count, to); }

template <typename Pixel>
void Place(const PackedLayout& layout, const ImageShape& shape, const Pixel* pixels, float* to) {
  if (layout.conv_layers().empty()) return PlaceRow(pixels, shape.size(), to);
  const int64_t row = (shape.width + 2) * shape.channels;
  float* const first = to + row + shape.channels;
  for (int64_t y = 0; y < shape.height; ++y) {
    if (shape.channels == 1) {
      PlaceRow(pixels + y * shape.width, shape.width, first + y * row);
      continue;
    }
    for (int64_t c = 0; c < shape.channels; ++c) {
      const Pixel* const from = pixels + (c * shape.height + y) * shape.width;
      for (int64_t x = 0; x < shape.width; ++x) {
        first[y * row + x * shape.channels + c] = ToUnit(from[x]);
      }
    }
  }
}

}  // namespace

void PlacePixels(const PackedLayout& layout, const ImageShape& shape, const uint8_t* pixels,
                 float* to) {
  Place(layout, shape, pixels, to);
}

void PlacePixels(const PackedLayout& layout, const ImageShape& shape, const float* pixels,
                 float* to) {
  Place(layout, shape, pixels, to);
}

void FinishOutput(const PackedLayout& layout, size_t i, const float* parameters, int64_t image,
                  std::optional<SqueezeExcitation>& squeeze, const float* skipped, float* output) {
  if (squeeze) squeeze->Forward(parameters, image, output);
  if (skipped == nullptr) return;
  const PackedConvLayer& layer = layout.conv_layers()[i];
  const PoolShape& pool = layer.pool;
  AddRows(pool.pooled_height(), pool.pooled_width() * pool.channels, skipped,
          layout.conv_layers()[i - layer.skip].pool.pooled_row_stride, output,
          pool.pooled_row_stride);
}

}  // namespace atelier::models
