#include "models/panel_kernels.h"

#include <algorithm>
#include <cstddef>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/panel_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using Floats = hn::Vec<FloatTag>;

// A tile is that many rows and two vectors of columns: with 32 registers the sums hide the latency
// of the multiplications, with 16 they just fit.
constexpr size_t kMaxTileRows = HWY_MAX_BYTES >= 64 ? 8 : 6;
// Inner dimension that is worked through at once, so that a panel's part stays in the cache.
constexpr size_t kInnerBlock = 512;

// A tile of c = start + Σ a · b, a's row r being `segments` runs of `segment_size` numbers.
struct DotTask {
  const float* a;
  size_t a_stride;
  size_t segments;
  size_t segment_stride;
  size_t segment_size;
  // A panel.
  const float* b;
  const float* start;
  // 0 where all rows start alike.
  size_t start_stride;
  float* c;
  size_t c_stride;
  Activation activation;
};

template <size_t kRows>
HWY_INLINE void StoreTile(const DotTask& task, size_t column, Floats (&sums)[kRows][2]) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  if (task.activation == Activation::kRelu) {
    const Floats zero = hn::Zero(d);
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      // In this order a sum that is not a number stays so.
      sums[r][0] = hn::Max(zero, sums[r][0]);
      sums[r][1] = hn::Max(zero, sums[r][1]);
    }
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    hn::StoreU(sums[r][0], d, task.c + r * task.c_stride + column);
    hn::StoreU(sums[r][1], d, task.c + r * task.c_stride + column + lanes);
  }
}

template <size_t kRows>
void DotTile(const DotTask& task) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  for (size_t column = 0; column < kPanel; column += 2 * lanes) {
    Floats sums[kRows][2];
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      sums[r][0] = hn::LoadU(d, task.start + r * task.start_stride + column);
      sums[r][1] = hn::LoadU(d, task.start + r * task.start_stride + column + lanes);
    }
    const float* b = task.b + column;
    for (size_t segment = 0; segment < task.segments; ++segment) {
      const float* rows[kRows];
      HWY_UNROLL(8)
      for (size_t r = 0; r < kRows; ++r) {
        rows[r] = task.a + segment * task.segment_stride + r * task.a_stride;
      }
      for (size_t k = 0; k < task.segment_size; ++k, b += kPanel) {
        const Floats b0 = hn::LoadU(d, b);
        const Floats b1 = hn::LoadU(d, b + lanes);
        HWY_UNROLL(8)
        for (size_t r = 0; r < kRows; ++r) {
          const Floats x = hn::Set(d, rows[r][k]);
          sums[r][0] = hn::MulAdd(x, b0, sums[r][0]);
          sums[r][1] = hn::MulAdd(x, b1, sums[r][1]);
        }
      }
    }
    StoreTile(task, column, sums);
  }
}

// A tile of c (rows kPanel apart) = c or 0 + Σ over `runs` runs of `run_size` steps: column vector
// of a times row vector of b.
struct OuterTask {
  const float* a;
  size_t a_step;
  size_t a_run_stride;
  const float* b;
  size_t b_step;
  size_t b_run_stride;
  size_t runs;
  size_t run_size;
  bool add;
  float* c;
};

template <size_t kRows>
void OuterTile(const OuterTask& task) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  for (size_t column = 0; column < kPanel; column += 2 * lanes) {
    Floats sums[kRows][2];
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      const float* c = task.c + r * kPanel + column;
      sums[r][0] = task.add ? hn::LoadU(d, c) : hn::Zero(d);
      sums[r][1] = task.add ? hn::LoadU(d, c + lanes) : hn::Zero(d);
    }
    for (size_t run = 0; run < task.runs; ++run) {
      const float* a = task.a + run * task.a_run_stride;
      const float* b = task.b + run * task.b_run_stride + column;
      for (size_t i = 0; i < task.run_size; ++i, a += task.a_step, b += task.b_step) {
        const Floats b0 = hn::LoadU(d, b);
        const Floats b1 = hn::LoadU(d, b + lanes);
        HWY_UNROLL(8)
        for (size_t r = 0; r < kRows; ++r) {
          const Floats x = hn::Set(d, a[r]);
          sums[r][0] = hn::MulAdd(x, b0, sums[r][0]);
          sums[r][1] = hn::MulAdd(x, b1, sums[r][1]);
        }
      }
    }
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      float* c = task.c + r * kPanel + column;
      hn::StoreU(sums[r][0], d, c);
      hn::StoreU(sums[r][1], d, c + lanes);
    }
  }
}

// By rows, from 1.
constexpr void (*kDotTiles[])(const DotTask&) = {DotTile<1>, DotTile<2>, DotTile<3>, DotTile<4>,
                                                 DotTile<5>, DotTile<6>, DotTile<7>, DotTile<8>};
constexpr void (*kOuterTiles[])(const OuterTask&) = {OuterTile<1>, OuterTile<2>, OuterTile<3>,
                                                     OuterTile<4>, OuterTile<5>, OuterTile<6>,
                                                     OuterTile<7>, OuterTile<8>};

// Does `rows` rows in tiles as even as possible; a task's next row of a is `a_step` further, of c
// `c_step`.
template <typename Task>
void RunTiles(void (*const* tiles)(const Task&), size_t rows, size_t a_step, size_t c_step,
              Task task) {
  size_t left = (rows + kMaxTileRows - 1) / kMaxTileRows;
  while (rows > 0) {
    const size_t now = (rows + left - 1) / left;
    tiles[now - 1](task);
    task.a += now * a_step;
    task.c += now * c_step;
    if constexpr (requires { task.start; }) task.start += now * task.start_stride;
    rows -= now;
    --left;
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
    DotTask task = {};
    task.a_stride = inputs;
    // The three pixels under a row of the kernel lie side by side.
    task.segments = 3;
    task.segment_stride = padded_row;
    task.segment_size = 3 * inputs;
    task.b = weights + panel * 9 * inputs;
    task.start = bias != nullptr ? bias + panel : zeros;
    task.c_stride = outputs;
    task.activation = activation;
    for (size_t y = 0; y < static_cast<size_t>(shape.height); ++y) {
      task.a = padded_input + y * padded_row;
      task.c = output + y * width * outputs + panel;
      RunTiles(kDotTiles, width, inputs, outputs, task);
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

void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const float* panels,
              const float* bias, Activation activation, float* c) {
  const float zeros[kPanel] = {};
  for (int64_t k = 0; k < inner; k += kInnerBlock) {
    const int64_t size = std::min<int64_t>(kInnerBlock, inner - k);
    for (int64_t panel = 0; panel < columns; panel += kPanel) {
      DotTask task = {};
      task.a = a + k;
      task.a_stride = static_cast<size_t>(inner);
      task.segments = 1;
      task.segment_size = static_cast<size_t>(size);
      task.b = panels + panel * inner + k * kPanel;
      task.c = c + panel;
      task.c_stride = static_cast<size_t>(columns);
      task.start = bias != nullptr ? bias + panel : zeros;
      if (k > 0) {
        task.start = task.c;
        task.start_stride = task.c_stride;
      }
      if (k + size == inner) task.activation = activation;
      RunTiles(kDotTiles, static_cast<size_t>(rows), task.a_stride, task.c_stride, task);
    }
  }
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

HWY_EXPORT(Convolve);
HWY_EXPORT(AddWeightGradient);
HWY_EXPORT(Multiply);
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

void MultiplyTransposed(int64_t rows, int64_t inner, int64_t columns, const float* a,
                        const float* b, float* panels) {
  HWY_DYNAMIC_DISPATCH(MultiplyTransposed)(rows, inner, columns, a, b, panels);
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
