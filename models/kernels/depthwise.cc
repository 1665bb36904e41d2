#include "models/kernels/depthwise.h"

#include <algorithm>
#include <iterator>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/kernels/depthwise.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, kDepthwiseChannels>;
using Floats = hn::Vec<FloatTag>;

// Taps [begin, end) of a window lie within an image.
struct Taps {
  int64_t begin;
  int64_t end;
};

// Of `size` taps, the first of which lies at `start`.
Taps TapsWithin(int64_t start, int64_t dilation, int64_t size, int64_t image) {
  const int64_t begin = start < 0 ? (dilation - 1 - start) / dilation : 0;
  const int64_t end = start < image ? (image - 1 - start) / dilation + 1 : 0;
  return {std::min(begin, size), std::clamp(end, begin, std::max(begin, size))};
}

// A vector of channels of neighbours whose windows lie within the image alike: computed together,
// the sums hide the latency of the multiplications.
struct TileTask {
  const Window& window;
  int64_t channels;
  int64_t row_size;  // Of the input.
  Taps rows;
  Taps columns;
  const float* input;  // Where the first of the tap at row and column 0 would lie.
  const float* weights;
  const float* bias;
  Activation activation;
  float* output;
};

template <int64_t kCount>
void Tile(const TileTask& task) {
  const FloatTag d;
  const Window& window = task.window;
  const int64_t step = window.column_stride * task.channels;
  Floats sums[kCount];
  HWY_UNROLL(8)
  for (int64_t i = 0; i < kCount; ++i) sums[i] = hn::LoadU(d, task.bias);
  for (int64_t row = task.rows.begin; row < task.rows.end; ++row) {
    for (int64_t column = task.columns.begin; column < task.columns.end; ++column) {
      const Floats weight =
          hn::LoadU(d, task.weights + (row * window.width + column) * task.channels);
      const float* const from =
          task.input + window.dilation * (row * task.row_size + column * task.channels);
      HWY_UNROLL(8)
      for (int64_t i = 0; i < kCount; ++i) {
        sums[i] = hn::MulAdd(hn::LoadU(d, from + i * step), weight, sums[i]);
      }
    }
  }
  HWY_UNROLL(8)
  for (int64_t i = 0; i < kCount; ++i) {
    // In this order a sum that is not a number stays so.
    if (task.activation == Activation::kRelu) sums[i] = hn::Max(hn::Zero(d), sums[i]);
    hn::StoreU(sums[i], d, task.output + i * task.channels);
  }
}

// By numbers of neighbours.
constexpr struct {
  int64_t count;
  void (*compute)(const TileTask&);
} kTiles[] = {{8, Tile<8>}, {4, Tile<4>}, {2, Tile<2>}, {1, Tile<1>}};

void ConvolveDepthwise(const Window& window, const ImageShape& input_shape,
                       const ImageShape& output_shape, const float* input, const float* weights,
                       const float* bias, Activation activation, float* output) {
  const int64_t channels = input_shape.channels;
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  TileTask task = {
      window,     channels, input_shape.width * channels, {}, {}, nullptr, nullptr, nullptr,
      activation, nullptr};
  // Windows of outputs [whole_begin, whole_end) lie within the image's width.
  const int64_t span = (window.width - 1) * window.dilation;
  const int64_t whole_begin = (window.left + window.column_stride - 1) / window.column_stride;
  const int64_t last_start = input_shape.width - 1 - span + window.left;
  const int64_t whole_end =
      last_start < 0 ? 0 : std::min(last_start / window.column_stride + 1, output_shape.width);
  for (int64_t y = 0; y < output_shape.height; ++y) {
    const int64_t top = y * window.row_stride - window.top;
    task.rows = TapsWithin(top, window.dilation, window.height, input_shape.height);
    for (int64_t x = 0; x < output_shape.width;) {
      const int64_t left = x * window.column_stride - window.left;
      const bool whole = x >= whole_begin && x < whole_end;
      task.columns = whole ? Taps{0, window.width}
                           : TapsWithin(left, window.dilation, window.width, input_shape.width);
      const auto& tile = *std::find_if(std::begin(kTiles), std::end(kTiles), [&](const auto& each) {
        return each.count <= (whole ? whole_end - x : 1);
      });
      for (int64_t channel = 0; channel < channels; channel += lanes) {
        task.input = input + top * task.row_size + left * channels + channel;
        task.weights = weights + channel;
        task.bias = bias + channel;
        task.output = output + (y * output_shape.width + x) * channels + channel;
        tile.compute(task);
      }
      x += tile.count;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace atelier::models {

HWY_EXPORT(ConvolveDepthwise);

void ConvolveDepthwise(const Window& window, const ImageShape& input_shape,
                       const ImageShape& output_shape, const float* input, const float* weights,
                       const float* bias, Activation activation, float* output) {
  HWY_DYNAMIC_DISPATCH(ConvolveDepthwise)
  (window, input_shape, output_shape, input, weights, bias, activation, output);
}

}  // namespace atelier::models
#endif  // HWY_ONCE
