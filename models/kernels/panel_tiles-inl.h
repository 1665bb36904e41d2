// Tiles of matrix products, for files that Highway compiles once for every kind of processor. Only
// for panel_kernels.cc and winograd.cc; see panel_kernels.h for what a panel is.
//
// The guard is Highway's: the file is included once per processor.
#include <algorithm>
#include <cstddef>

#include "hwy/highway.h"
#include "models/kernels/panel_kernels.h"

#if defined(ATELIER_MODELS_KERNELS_PANEL_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATELIER_MODELS_KERNELS_PANEL_TILES_INL_H_
#undef ATELIER_MODELS_KERNELS_PANEL_TILES_INL_H_
#else
#define ATELIER_MODELS_KERNELS_PANEL_TILES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using Floats = hn::Vec<FloatTag>;

// A tile is that many rows and two vectors of columns: with 32 registers the sums hide the latency
// of the multiplications, with 16 they just fit.
constexpr size_t kMaxTileRows = HWY_MAX_BYTES >= 64 ? 8 : 6;

// A vector of weights.
HWY_INLINE Floats LoadWeights(const float* from) { return hn::LoadU(FloatTag(), from); }
HWY_INLINE Floats LoadWeights(const Bfloat16* from) {
  const FloatTag d;
  const hn::Rebind<uint32_t, FloatTag> wide;
  const hn::Rebind<uint16_t, FloatTag> narrow;
  const auto bits = hn::LoadU(narrow, reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(wide, bits)));
}

// A tile of c = start + Σ a · b, a's row r being `segments` runs of `segment_size` numbers.
template <typename Weight>
struct DotTask {
  const float* a;
  size_t a_stride;
  size_t segments;
  size_t segment_stride;
  size_t segment_size;
  // A panel.
  const Weight* b;
  const float* start;
  // 0 where all rows start alike.
  size_t start_stride;
  float* c;
  size_t c_stride;
  Activation activation;
};

template <typename Weight, size_t kRows>
HWY_INLINE void StoreTile(const DotTask<Weight>& task, size_t column, Floats (&sums)[kRows][2]) {
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

template <typename Weight, size_t kRows>
void DotTile(const DotTask<Weight>& task) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  for (size_t column = 0; column < kPanel; column += 2 * lanes) {
    Floats sums[kRows][2];
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      sums[r][0] = hn::LoadU(d, task.start + r * task.start_stride + column);
      sums[r][1] = hn::LoadU(d, task.start + r * task.start_stride + column + lanes);
    }
    const Weight* b = task.b + column;
    for (size_t segment = 0; segment < task.segments; ++segment) {
      const float* rows[kRows];
      HWY_UNROLL(8)
      for (size_t r = 0; r < kRows; ++r) {
        rows[r] = task.a + segment * task.segment_stride + r * task.a_stride;
      }
      for (size_t k = 0; k < task.segment_size; ++k, b += kPanel) {
        const Floats b0 = LoadWeights(b);
        const Floats b1 = LoadWeights(b + lanes);
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
template <typename Weight>
constexpr void (*kDotTiles[])(const DotTask<Weight>&) = {
    DotTile<Weight, 1>, DotTile<Weight, 2>, DotTile<Weight, 3>, DotTile<Weight, 4>,
    DotTile<Weight, 5>, DotTile<Weight, 6>, DotTile<Weight, 7>, DotTile<Weight, 8>};
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

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#endif  // ATELIER_MODELS_KERNELS_PANEL_TILES_INL_H_
