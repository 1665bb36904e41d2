#include "models/kernels/layer_kernels.h"

#include <algorithm>
#include <cstddef>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/kernels/layer_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using Floats = hn::Vec<FloatTag>;

// Pixels whose sum is taken in float before it goes on in double.
constexpr int64_t kSumPixels = 1024;
constexpr size_t kMaxLanes = 16;

HWY_INLINE void AddToDoubles(Floats values, double* sums) {
  const FloatTag d;
  HWY_ALIGN float lanes[kMaxLanes];
  hn::Store(values, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) sums[i] += static_cast<double>(lanes[i]);
}

// Adds Σ a and Σ a · b of a vector of channels; b is a for squares.
HWY_INLINE void AddPixelSums(int64_t pixels, int64_t channels, const float* a, const float* b,
                             double* sums, double* products) {
  const FloatTag d;
  for (int64_t begin = 0; begin < pixels; begin += kSumPixels) {
    const int64_t end = std::min(pixels, begin + kSumPixels);
    // Two of each, as an addition waits for the one before.
    Floats sum0 = hn::Zero(d), sum1 = hn::Zero(d);
    Floats product0 = hn::Zero(d), product1 = hn::Zero(d);
    int64_t i = begin;
    for (; i + 1 < end; i += 2) {
      const Floats a0 = hn::LoadU(d, a + i * channels);
      const Floats a1 = hn::LoadU(d, a + (i + 1) * channels);
      sum0 = hn::Add(sum0, a0);
      sum1 = hn::Add(sum1, a1);
      product0 = hn::MulAdd(a0, hn::LoadU(d, b + i * channels), product0);
      product1 = hn::MulAdd(a1, hn::LoadU(d, b + (i + 1) * channels), product1);
    }
    if (i < end) {
      const Floats a0 = hn::LoadU(d, a + i * channels);
      sum0 = hn::Add(sum0, a0);
      product0 = hn::MulAdd(a0, hn::LoadU(d, b + i * channels), product0);
    }
    AddToDoubles(hn::Add(sum0, sum1), sums);
    AddToDoubles(hn::Add(product0, product1), products);
  }
}

void AddProducts(int64_t pixels, int64_t channels, const float* gradient, const float* values,
                 double* sums, double* products) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  for (int64_t c = 0; c < channels; c += lanes) {
    AddPixelSums(pixels, channels, gradient + c, values + c, sums + c, products + c);
  }
}

void AddRows(int64_t rows, int64_t size, const float* from, int64_t from_stride, float* to,
             int64_t to_stride) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t row = 0; row < rows; ++row, from += from_stride, to += to_stride) {
    for (int64_t i = 0; i < size; i += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
    }
  }
}

// Calls `each` for the places of a window by row and column, unrolled for the usual edge of 2.
template <typename Each>
HWY_INLINE void ForEachInWindow(int64_t pool, const Each& each) {
  if (pool == 2) {
    each(0, 0);
    each(0, 1);
    each(1, 0);
    each(1, 1);
    return;
  }
  for (int64_t i = 0; i < pool; ++i) {
    for (int64_t j = 0; j < pool; ++j) each(i, j);
  }
}

// One vector of channels.
HWY_INLINE void NormalizeAndPoolChannels(const PoolShape& shape, const float* values, Floats scale,
                                         Floats shift, float* winners, float* pooled) {
  const FloatTag d;
  const int64_t channels = shape.channels;
  const int64_t row = shape.width * channels;
  for (int64_t y = 0; y < shape.pooled_height(); ++y) {
    for (int64_t x = 0; x < shape.pooled_width(); ++x) {
      const float* window = values + (y * row + x * channels) * shape.pool;
      Floats winner = hn::LoadU(d, window);
      Floats best = hn::MulAdd(winner, scale, shift);
      ForEachInWindow(shape.pool, [&](int64_t i, int64_t j) HWY_ATTR {
        const Floats value = hn::LoadU(d, window + i * row + j * channels);
        const Floats result = hn::MulAdd(value, scale, shift);
        const auto better = hn::Gt(result, best);
        winner = hn::IfThenElse(better, value, winner);
        best = hn::IfThenElse(better, result, best);
      });
      hn::StoreU(best, d, pooled + y * shape.pooled_row_stride + x * channels);
      hn::StoreU(winner, d, winners + (y * shape.pooled_width() + x) * channels);
    }
  }
}

void NormalizeAndPool(const PoolShape& shape, const float* values, const float* scale,
                      const float* shift, float* winners, float* pooled) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (shape.pool > 1) {
    for (int64_t c = 0; c < shape.channels; c += lanes) {
      NormalizeAndPoolChannels(shape, values + c, hn::LoadU(d, scale + c), hn::LoadU(d, shift + c),
                               winners + c, pooled + c);
    }
    return;
  }
  for (int64_t c = 0; c < shape.channels; c += lanes) {
    const Floats by = hn::LoadU(d, scale + c);
    const Floats plus = hn::LoadU(d, shift + c);
    for (int64_t y = 0; y < shape.height; ++y) {
      const float* from = values + y * shape.width * shape.channels + c;
      float* to = pooled + y * shape.pooled_row_stride + c;
      for (int64_t x = 0; x < shape.width * shape.channels; x += shape.channels) {
        hn::StoreU(hn::MulAdd(hn::LoadU(d, from + x), by, plus), d, to + x);
      }
    }
  }
}

// The gradient through normalisation and ReLU for one vector of channels.
struct ChannelGradient {
  Floats scale;
  Floats shift;
  Floats slope;
  Floats offset;
  Floats bias_sum;

  HWY_INLINE void Write(Floats value, Floats gradient, float* to) {
    const FloatTag d;
    const Floats sum = hn::MulAdd(scale, gradient, hn::MulAdd(slope, value, offset));
    const Floats result = hn::IfThenElseZero(hn::Gt(value, hn::Zero(d)), sum);
    bias_sum = hn::Add(bias_sum, result);
    hn::StoreU(result, d, to);
  }
};

// Rows [y, y + rows) × columns [x, x + columns), which no window covers.
HWY_INLINE void BackWithoutWindow(const PoolShape& shape, int64_t y, int64_t rows, int64_t x,
                                  int64_t columns, const float* values, float* result,
                                  ChannelGradient& channel) {
  const FloatTag d;
  for (int64_t i = y; i < y + rows; ++i) {
    for (int64_t j = x; j < x + columns; ++j) {
      const Floats value = hn::LoadU(d, values + (i * shape.width + j) * shape.channels);
      channel.Write(value, hn::Zero(d), result + (i * (shape.width + 2) + j) * shape.channels);
    }
  }
}

HWY_INLINE void BackThroughWindows(const PoolShape& shape, const float* values, const float* pooled,
                                   const float* gradient, float* result, ChannelGradient& channel) {
  const FloatTag d;
  const int64_t channels = shape.channels;
  const int64_t row = shape.width * channels;
  const int64_t result_row = (shape.width + 2) * channels;
  const int64_t pool = shape.pool;
  for (int64_t y = 0; y < shape.pooled_height(); ++y) {
    for (int64_t x = 0; x < shape.pooled_width(); ++x) {
      const Floats best = hn::LoadU(d, pooled + y * shape.pooled_row_stride + x * channels);
      // What is left of it to give away.
      Floats given = hn::LoadU(d, gradient + (y * shape.pooled_width() + x) * channels);
      const float* const window = values + y * pool * row + x * pool * channels;
      float* const to = result + y * pool * result_row + x * pool * channels;
      ForEachInWindow(pool, [&](int64_t i, int64_t j) HWY_ATTR {
        const Floats value = hn::LoadU(d, window + i * row + j * channels);
        // The same operation as in NormalizeAndPool, so equal to the last bit.
        const auto wins = hn::Eq(hn::MulAdd(value, channel.scale, channel.shift), best);
        channel.Write(value, hn::IfThenElseZero(wins, given), to + i * result_row + j * channels);
        given = hn::IfThenZeroElse(wins, given);
      });
    }
  }
  const int64_t covered_height = shape.pooled_height() * pool;
  const int64_t covered_width = shape.pooled_width() * pool;
  BackWithoutWindow(shape, 0, covered_height, covered_width, shape.width - covered_width, values,
                    result, channel);
  BackWithoutWindow(shape, covered_height, shape.height - covered_height, 0, shape.width, values,
                    result, channel);
}

void BackThroughPoolNormRelu(const PoolShape& shape, const NormGradient& norm, const float* values,
                             const float* pooled, const float* gradient, float* padded_result,
                             float* bias_gradient) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float* const result = padded_result + (shape.width + 3) * shape.channels;
  for (int64_t c = 0; c < shape.channels; c += lanes) {
    ChannelGradient channel = {hn::LoadU(d, norm.scale + c), hn::LoadU(d, norm.shift + c),
                               hn::LoadU(d, norm.slope + c), hn::LoadU(d, norm.offset + c),
                               hn::Zero(d)};
    if (shape.pool > 1) {
      BackThroughWindows(shape, values + c, pooled + c, gradient + c, result + c, channel);
    } else {
      for (int64_t y = 0; y < shape.height; ++y) {
        const int64_t from = y * shape.width * shape.channels + c;
        float* to = result + y * (shape.width + 2) * shape.channels + c;
        for (int64_t x = 0; x < shape.width * shape.channels; x += shape.channels) {
          channel.Write(hn::LoadU(d, values + from + x), hn::LoadU(d, gradient + from + x), to + x);
        }
      }
    }
    hn::StoreU(hn::Add(hn::LoadU(d, bias_gradient + c), channel.bias_sum), d, bias_gradient + c);
  }
}

void PixelsToUnit(const uint8_t* pixels, int64_t count, float* values) {
  const FloatTag d;
  const hn::Rebind<int32_t, FloatTag> wide;
  const hn::Rebind<uint8_t, FloatTag> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Floats most = hn::Set(d, 255.0F);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto numbers = hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(narrow, pixels + i)));
    hn::StoreU(hn::Div(numbers, most), d, values + i);
  }
  for (; i < count; ++i) values[i] = static_cast<float>(pixels[i]) / 255.0F;
}

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace atelier::models {

HWY_EXPORT(AddProducts);
HWY_EXPORT(AddRows);
HWY_EXPORT(NormalizeAndPool);
HWY_EXPORT(BackThroughPoolNormRelu);
HWY_EXPORT(PixelsToUnit);

void AddSums(int64_t pixels, int64_t channels, const float* values, double* sums, double* squares) {
  HWY_DYNAMIC_DISPATCH(AddProducts)(pixels, channels, values, values, sums, squares);
}

void AddProducts(int64_t pixels, int64_t channels, const float* gradient, const float* values,
                 double* sums, double* products) {
  HWY_DYNAMIC_DISPATCH(AddProducts)(pixels, channels, gradient, values, sums, products);
}

void AddRows(int64_t rows, int64_t size, const float* from, int64_t from_stride, float* to,
             int64_t to_stride) {
  HWY_DYNAMIC_DISPATCH(AddRows)(rows, size, from, from_stride, to, to_stride);
}

void NormalizeAndPool(const PoolShape& shape, const float* values, const float* scale,
                      const float* shift, float* winners, float* pooled) {
  HWY_DYNAMIC_DISPATCH(NormalizeAndPool)(shape, values, scale, shift, winners, pooled);
}

void BackThroughPoolNormRelu(const PoolShape& shape, const NormGradient& norm, const float* values,
                             const float* pooled, const float* gradient, float* padded_result,
                             float* bias_gradient) {
  HWY_DYNAMIC_DISPATCH(BackThroughPoolNormRelu)
  (shape, norm, values, pooled, gradient, padded_result, bias_gradient);
}

void PixelsToUnit(const uint8_t* pixels, int64_t count, float* values) {
  HWY_DYNAMIC_DISPATCH(PixelsToUnit)(pixels, count, values);
}

}  // namespace atelier::models
#endif  // HWY_ONCE
