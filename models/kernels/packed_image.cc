#include "models/kernels/packed_image.h"

#include <algorithm>

#include "models/base/pixel_span.h"
#include "models/kernels/layer_kernels.h"

namespace atelier::models {
namespace {

void PlaceRow(const uint8_t* from, int64_t count, float* to) { PixelsToUnit(from, count, to); }
void PlaceRow(const float* from, int64_t count, float* to) { std::copy_n(from, count, to); }

// Of one channel, in place; nothing for null.
void Standardize(const ChannelScale* scale, int64_t count, float* values) {
  if (scale == nullptr) return;
  for (int64_t x = 0; x < count; ++x) values[x] = scale->Apply(values[x]);
}

// Pixels of one channel, so far from each other.
template <typename Pixel>
void PlaceApart(const ChannelScale* scale, const Pixel* from, int64_t count, int64_t step,
                float* to) {
  if (scale == nullptr) {
    for (int64_t x = 0; x < count; ++x) to[x * step] = ToUnit(from[x]);
  } else {
    for (int64_t x = 0; x < count; ++x) to[x * step] = scale->Apply(ToUnit(from[x]));
  }
}

template <typename Pixel>
void Place(const PackedLayout& layout, const ImageShape& shape, const Pixel* pixels, float* to) {
  const std::vector<ChannelScale>& scales = layout.network().scales;
  const auto scale = [&scales](int64_t c) {
    return scales.empty() ? nullptr : &scales[static_cast<size_t>(c)];
  };
  const int64_t plane = shape.height * shape.width;
  if (layout.conv_layers().empty()) {
    PlaceRow(pixels, shape.size(), to);
    for (int64_t c = 0; c < shape.channels; ++c) Standardize(scale(c), plane, to + c * plane);
    return;
  }
  const int64_t row = (shape.width + 2) * shape.channels;
  float* const first = to + row + shape.channels;
  for (int64_t y = 0; y < shape.height; ++y) {
    if (shape.channels == 1) {
      PlaceRow(pixels + y * shape.width, shape.width, first + y * row);
      Standardize(scale(0), shape.width, first + y * row);
      continue;
    }
    for (int64_t c = 0; c < shape.channels; ++c) {
      PlaceApart(scale(c), pixels + c * plane + y * shape.width, shape.width, shape.channels,
                 first + y * row + c);
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
