#include "models/kernels/panel_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/kernels/panel_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "models/kernels/panel_tiles-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

// Inner dimension that is worked through at once, so that a panel's part stays in the cache.
constexpr size_t kInnerBlock = 512;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Convolve's results for a panel of one input channel, in the same order of sums. With so few
// products a result, fetching the weights would take longer than multiplying: they stay in
// registers.
void ConvolveOneChannel(const ConvolutionShape& shape, const float* padded_input,
                        const float* weights, const float* start, Activation activation,
                        float* output) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  const auto width = static_cast<size_t>(shape.width);
  Floats taps[9][2];
  HWY_UNROLL(9)
  for (size_t k = 0; k < 9; ++k) {
    taps[k][0] = hn::LoadU(d, weights + k * kPanel);
    taps[k][1] = hn::LoadU(d, weights + k * kPanel + lanes);
  }
  const Floats start0 = hn::LoadU(d, start);
  const Floats start1 = hn::LoadU(d, start + lanes);
  const Floats least = activation == Activation::kRelu ? hn::Zero(d) : hn::Set(d, -kInfinity);
  for (size_t y = 0; y < static_cast<size_t>(shape.height); ++y) {
    const float* from = padded_input + y * (width + 2);
    for (size_t x = 0; x < width; ++x, ++from, output += shape.outputs) {
      Floats sum0 = start0;
      Floats sum1 = start1;
      HWY_UNROLL(9)
      for (size_t k = 0; k < 9; ++k) {
        const Floats pixel = hn::Set(d, from[k / 3 * (width + 2) + k % 3]);
        sum0 = hn::MulAdd(pixel, taps[k][0], sum0);
        sum1 = hn::MulAdd(pixel, taps[k][1], sum1);
      }
      // In this order a sum that is not a number stays so.
      hn::StoreU(hn::Max(least, sum0), d, output);
      hn::StoreU(hn::Max(least, sum1), d, output + lanes);
    }
  }
}

void Convolve(const ConvolutionShape& shape, const float* padded_input, const float* weights,
              const float* bias, Activation activation, float* output) {
  const auto inputs = static_cast<size_t>(shape.inputs);
  const auto outputs = static_cast<size_t>(shape.outputs);
  const auto width = static_cast<size_t>(shape.width);
  const size_t padded_row = (width + 2) * inputs;
  const float zeros[kPanel] = {};
  for (size_t panel = 0; panel < outputs; panel += kPanel) {
    DotTask<float> task = {};
    task.a_stride = inputs;
    // The three pixels under a row of the kernel lie side by side.
    task.segments = 3;
    task.segment_stride = padded_row;
    task.segment_size = 3 * inputs;
    task.b = weights + panel * 9 * inputs;
    task.start = bias != nullptr ? bias + panel : zeros;
    task.c_stride = outputs;
    task.activation = activation;
    // 18 vectors of weights want 32 registers.
    if (HWY_MAX_BYTES >= 64 && inputs == 1) {
      ConvolveOneChannel(shape, padded_input, task.b, task.start, activation, output + panel);
      continue;
    }
    for (size_t y = 0; y < static_cast<size_t>(shape.height); ++y) {
      task.a = padded_input + y * padded_row;
      task.c = output + y * width * outputs + panel;
      RunTiles(kDotTiles<float>, width, inputs, outputs, task);
    }
  }
}

void AddWeightGradient(const ConvolutionShape& shape, const float* padded_input,
                       const float* padded_gradient, float* weight_gradient) {
  const auto inputs = static_cast<size_t>(shape.inputs);
  const auto outputs = static_cast<size_t>(shape.outputs);
  const auto width = static_cast<size_t>(shape.width);
  for (size_t panel = 0; panel < outputs; panel += kPanel) {
    for (size_t ky = 0; ky < 3; ++ky) {
      OuterTask task = {};
      task.a_step = inputs;
      task.a_run_stride = (width + 2) * inputs;
      task.a = padded_input + ky * task.a_run_stride;
      task.b_step = outputs;
      task.b_run_stride = (width + 2) * outputs;
      // Past the border.
      task.b = padded_gradient + task.b_run_stride + outputs + panel;
      task.runs = static_cast<size_t>(shape.height);
      task.run_size = width;
      task.add = true;
      task.c = weight_gradient + (panel * 3 + ky * kPanel) * 3 * inputs;
      RunTiles(kOuterTiles, 3 * inputs, 1, kPanel, task);
    }
  }
}

// The panel's part that a block of the inner dimension reads, as floats. Widening costs more than
// reading, so it is done once where several tiles follow; `scratch` has room for it.
HWY_INLINE const float* Widened(const float* block, size_t /*size*/, float* /*scratch*/) {
  return block;
}
HWY_INLINE const float* Widened(const Bfloat16* block, size_t size, float* scratch) {
  const FloatTag d;
  for (size_t i = 0; i < size; i += hn::Lanes(d)) {
    hn::StoreU(LoadWeights(block + i), d, scratch + i);
  }
  return scratch;
}

template <typename Weight>
void MultiplyWith(int64_t rows, int64_t inner, int64_t columns, const float* a,
                  const Weight* panels, const float* bias, Activation activation, float* c) {
  const float zeros[kPanel] = {};
  const auto run = [&](int64_t k, int64_t panel, const auto* block) {
    const int64_t size = std::min<int64_t>(kInnerBlock, inner - k);
    DotTask<std::remove_cvref_t<decltype(*block)>> task = {};
    task.a = a + k;
    task.a_stride = static_cast<size_t>(inner);
    task.segments = 1;
    task.segment_size = static_cast<size_t>(size);
    task.b = block;
    task.c = c + panel;
    task.c_stride = static_cast<size_t>(columns);
    task.start = bias != nullptr ? bias + panel : zeros;
    if (k > 0) {
      task.start = task.c;
      task.start_stride = task.c_stride;
    }
    if (k + size == inner) task.activation = activation;
    RunTiles(kDotTiles<std::remove_cvref_t<decltype(*block)>>, static_cast<size_t>(rows),
             task.a_stride, task.c_stride, task);
  };
  alignas(64) float scratch[std::is_same_v<Weight, float> ? 1 : kInnerBlock * kPanel];
  for (int64_t k = 0; k < inner; k += kInnerBlock) {
    for (int64_t panel = 0; panel < columns; panel += kPanel) {
      const Weight* const block = panels + panel * inner + k * kPanel;
      if (rows <= static_cast<int64_t>(kMaxTileRows)) {
        run(k, panel, block);
      } else {
        const int64_t size = std::min<int64_t>(kInnerBlock, inner - k) * kPanel;
        run(k, panel, Widened(block, static_cast<size_t>(size), scratch));
      }
    }
  }
}

void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const float* panels,
              const float* bias, Activation activation, float* c) {
  MultiplyWith(rows, inner, columns, a, panels, bias, activation, c);
}

void MultiplyBfloat16(int64_t rows, int64_t inner, int64_t columns, const float* a,
                      const Bfloat16* panels, const float* bias, Activation activation, float* c) {
  MultiplyWith(rows, inner, columns, a, panels, bias, activation, c);
}

void MultiplyTransposed(int64_t rows, int64_t inner, int64_t columns, const float* a,
                        const float* b, float* panels) {
  // Few of a's columns at a time, so that they stay in the cache for all panels.
  for (int64_t k = 0; k < inner; k += kMaxTileRows) {
    const int64_t size = std::min<int64_t>(kMaxTileRows, inner - k);
    for (int64_t panel = 0; panel < columns; panel += kPanel) {
      OuterTask task = {};
      task.a = a + k;
      task.a_step = static_cast<size_t>(inner);
      task.b = b + panel;
      task.b_step = static_cast<size_t>(columns);
      task.runs = 1;
      task.run_size = static_cast<size_t>(rows);
      task.c = panels + panel * inner + k * kPanel;
      RunTiles(kOuterTiles, static_cast<size_t>(size), 1, kPanel, task);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace atelier::models {

Bfloat16 RoundToBfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return {0x7FC0};
  return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

HWY_EXPORT(Convolve);
HWY_EXPORT(AddWeightGradient);
HWY_EXPORT(Multiply);
HWY_EXPORT(MultiplyBfloat16);
HWY_EXPORT(MultiplyTransposed);

void Convolve(const ConvolutionShape& shape, const float* padded_input, const float* weights,
              const float* bias, Activation activation, float* output) {
  HWY_DYNAMIC_DISPATCH(Convolve)(shape, padded_input, weights, bias, activation, output);
}

void AddWeightGradient(const ConvolutionShape& shape, const float* padded_input,
                       const float* padded_gradient, float* weight_gradient) {
  HWY_DYNAMIC_DISPATCH(AddWeightGradient)(shape, padded_input, padded_gradient, weight_gradient);
}

void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const float* panels,
              const float* bias, Activation activation, float* c) {
  HWY_DYNAMIC_DISPATCH(Multiply)(rows, inner, columns, a, panels, bias, activation, c);
}

void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const Bfloat16* panels,
              const float* bias, Activation activation, float* c) {
  HWY_DYNAMIC_DISPATCH(MultiplyBfloat16)(rows, inner, columns, a, panels, bias, activation, c);
}

void MultiplyTransposed(int64_t rows, int64_t inner, int64_t columns, const float* a,
                        const float* b, float* panels) {
  HWY_DYNAMIC_DISPATCH(MultiplyTransposed)(rows, inner, columns, a, b, panels);
}

void AddColumns(int64_t rows, int64_t columns, const float* values, float* sums) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) sums[j] += values[i * columns + j];
  }
}

void TransposePanels(int64_t taps, int64_t inner, int64_t columns, int64_t block,
                     const float* panels, float* transposed) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t panel = 0; panel < columns; panel += kPanel) {
      const float* from = panels + (panel * taps + tap * kPanel) * inner + block * kPanel * kPanel;
      float* to = transposed + (block * kPanel * taps + (taps - 1 - tap) * kPanel) * columns +
                  panel * kPanel;
      for (int64_t j = 0; j < kPanel; ++j) {
        for (int64_t k = 0; k < kPanel; ++k) to[j * kPanel + k] = from[k * kPanel + j];
      }
    }
  }
}

}  // namespace atelier::models
#endif  // HWY_ONCE
