#include "models/kernels/winograd.h"

#include <algorithm>
#include <cstddef>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/kernels/winograd.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "models/kernels/panel_tiles-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

constexpr size_t kPlaces = kWinogradPlaces;

// The three matrices of the method and, for the gradients, two of them the other way round, each
// applied to one column or row of a tile.
struct InputTransform {  // 4 to 4
  static HWY_INLINE void Apply(const Floats (&d)[4], Floats (&result)[4]) {
    result[0] = hn::Sub(d[0], d[2]);
    result[1] = hn::Add(d[1], d[2]);
    result[2] = hn::Sub(d[2], d[1]);
    result[3] = hn::Sub(d[1], d[3]);
  }
};
struct OutputTransform {  // 4 to 2
  static HWY_INLINE void Apply(const Floats (&m)[4], Floats (&result)[2]) {
    result[0] = hn::Add(hn::Add(m[0], m[1]), m[2]);
    result[1] = hn::Sub(hn::Sub(m[1], m[2]), m[3]);
  }
};
struct OutputGradient {  // 2 to 4
  static HWY_INLINE void Apply(const Floats (&y)[2], Floats (&result)[4]) {
    result[0] = y[0];
    result[1] = hn::Add(y[0], y[1]);
    result[2] = hn::Sub(y[0], y[1]);
    result[3] = hn::Neg(y[1]);
  }
};
struct WeightTransform {  // 3 to 4
  static HWY_INLINE void Apply(const Floats (&g)[3], Floats (&result)[4]) {
    const Floats half = hn::Set(FloatTag(), 0.5F);
    const Floats outer = hn::Mul(half, hn::Add(g[0], g[2]));
    const Floats inner = hn::Mul(half, g[1]);
    result[0] = g[0];
    result[1] = hn::Add(outer, inner);
    result[2] = hn::Sub(outer, inner);
    result[3] = g[2];
  }
};
struct WeightGradient {  // 4 to 3
  static HWY_INLINE void Apply(const Floats (&u)[4], Floats (&result)[3]) {
    const Floats half = hn::Set(FloatTag(), 0.5F);
    const Floats sum = hn::Mul(half, hn::Add(u[1], u[2]));
    result[0] = hn::Add(u[0], sum);
    result[1] = hn::Mul(half, hn::Sub(u[1], u[2]));
    result[2] = hn::Add(u[3], sum);
  }
};

// result = T · tile · Tᵀ.
template <typename Transform, size_t kFrom, size_t kTo>
HWY_INLINE void TransformTile(const Floats (&tile)[kFrom][kFrom], Floats (&result)[kTo][kTo]) {
  Floats half[kTo][kFrom];
  HWY_UNROLL(4)
  for (size_t j = 0; j < kFrom; ++j) {
    Floats column[kFrom];
    Floats made[kTo];
    HWY_UNROLL(4)
    for (size_t i = 0; i < kFrom; ++i) column[i] = tile[i][j];
    Transform::Apply(column, made);
    HWY_UNROLL(4)
    for (size_t i = 0; i < kTo; ++i) half[i][j] = made[i];
  }
  HWY_UNROLL(4)
  for (size_t i = 0; i < kTo; ++i) Transform::Apply(half[i], result[i]);
}

// Transforms the kFrom×kFrom pixels at every second row and column of an image of `rows` ×
// `columns` pixels, of which `first` is the upper left one and the next row is `row_stride`
// further.
template <typename Transform, size_t kFrom>
void TransformImage(const float* first, size_t rows, size_t columns, size_t row_stride,
                    size_t channels, size_t tile_rows, size_t tile_columns, size_t matrix,
                    float* transformed) {
  const FloatTag d;
  for (size_t ty = 0; ty < tile_rows; ++ty) {
    for (size_t tx = 0; tx < tile_columns; ++tx, transformed += channels) {
      const float* const corner = first + 2 * ty * row_stride + 2 * tx * channels;
      const size_t height = std::min(kFrom, rows - 2 * ty);
      const size_t width = std::min(kFrom, columns - 2 * tx);
      for (size_t c = 0; c < channels; c += hn::Lanes(d)) {
        Floats tile[kFrom][kFrom];
        HWY_UNROLL(4)
        for (size_t i = 0; i < kFrom; ++i) {
          HWY_UNROLL(4)
          for (size_t j = 0; j < kFrom; ++j) {
            tile[i][j] = i < height && j < width
                             ? hn::LoadU(d, corner + i * row_stride + j * channels + c)
                             : hn::Zero(d);
          }
        }
        Floats result[4][4];
        TransformTile<Transform>(tile, result);
        HWY_UNROLL(4)
        for (size_t i = 0; i < 4; ++i) {
          HWY_UNROLL(4)
          for (size_t j = 0; j < 4; ++j) {
            hn::StoreU(result[i][j], d, transformed + (4 * i + j) * matrix + c);
          }
        }
      }
    }
  }
}

void TransformInput(const ConvolutionShape& shape, const float* padded_input, int64_t capacity,
                    int64_t row, float* transformed) {
  const auto width = static_cast<size_t>(shape.width);
  const auto height = static_cast<size_t>(shape.height);
  const auto inputs = static_cast<size_t>(shape.inputs);
  TransformImage<InputTransform, 4>(padded_input, height + 2, width + 2, (width + 2) * inputs,
                                    inputs, (height + 1) / 2, (width + 1) / 2,
                                    static_cast<size_t>(WinogradMatrix(capacity, shape.inputs)),
                                    transformed + row * shape.inputs);
}

void TransformGradient(const ConvolutionShape& shape, const float* padded_gradient,
                       int64_t capacity, int64_t row, float* transformed) {
  const auto width = static_cast<size_t>(shape.width);
  const auto height = static_cast<size_t>(shape.height);
  const auto outputs = static_cast<size_t>(shape.outputs);
  const size_t row_stride = (width + 2) * outputs;
  TransformImage<OutputGradient, 2>(padded_gradient + row_stride + outputs, height, width,
                                    row_stride, outputs, (height + 1) / 2, (width + 1) / 2,
                                    static_cast<size_t>(WinogradMatrix(capacity, shape.outputs)),
                                    transformed + row * shape.outputs);
}

// A panel's results from its 16 products of one row a tile.
void StoreWinogradOutput(const ConvolutionShape& shape, const float* products, const float* bias,
                         Activation activation, float* output) {
  const FloatTag d;
  const auto height = static_cast<size_t>(shape.height);
  const auto width = static_cast<size_t>(shape.width);
  const auto outputs = static_cast<size_t>(shape.outputs);
  const auto matrix = static_cast<size_t>(WinogradMatrix(WinogradTiles(shape), kPanel));
  for (size_t y = 0; y < height; y += 2) {
    for (size_t x = 0; x < width; x += 2, products += kPanel) {
      for (size_t c = 0; c < kPanel; c += hn::Lanes(d)) {
        Floats tile[4][4];
        HWY_UNROLL(4)
        for (size_t i = 0; i < 4; ++i) {
          HWY_UNROLL(4)
          for (size_t j = 0; j < 4; ++j) {
            tile[i][j] = hn::LoadU(d, products + (4 * i + j) * matrix + c);
          }
        }
        Floats result[2][2];
        TransformTile<OutputTransform>(tile, result);
        const Floats start = bias != nullptr ? hn::LoadU(d, bias + c) : hn::Zero(d);
        for (size_t i = 0; i < 2 && y + i < height; ++i) {
          for (size_t j = 0; j < 2 && x + j < width; ++j) {
            Floats value = hn::Add(start, result[i][j]);
            // In this order a value that is not a number stays so.
            if (activation == Activation::kRelu) value = hn::Max(hn::Zero(d), value);
            hn::StoreU(value, d, output + ((y + i) * width + x + j) * outputs + c);
          }
        }
      }
    }
  }
}

void WinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                      const float* transformed, const float* bias, Activation activation,
                      float* scratch, float* output) {
  const int64_t tiles = WinogradTiles(shape);
  const int64_t matrix = WinogradMatrix(tiles, shape.inputs);
  float* const products = scratch + kWinogradPlaces * matrix;
  HWY_NAMESPACE::TransformInput(shape, padded_input, tiles, 0, scratch);
  const float zeros[kPanel] = {};
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    for (int64_t place = 0; place < kWinogradPlaces; ++place) {
      DotTask<float> task = {};
      task.a = scratch + place * matrix;
      task.a_stride = static_cast<size_t>(shape.inputs);
      task.segments = 1;
      task.segment_size = static_cast<size_t>(shape.inputs);
      task.b = transformed + (place * shape.outputs + panel) * shape.inputs;
      task.start = zeros;
      task.c = products + place * WinogradMatrix(tiles, kPanel);
      task.c_stride = kPanel;
      RunTiles(kDotTiles<float>, static_cast<size_t>(tiles), task.a_stride, task.c_stride, task);
    }
    HWY_NAMESPACE::StoreWinogradOutput(shape, products, bias != nullptr ? bias + panel : nullptr,
                                       activation, output + panel);
  }
}

void AddTransformedGradient(const ConvolutionShape& shape, int64_t capacity, int64_t rows,
                            const float* input, const float* gradient,
                            float* transformed_weight_gradient) {
  constexpr auto kTileRows = static_cast<int64_t>(kMaxTileRows);
  for (int64_t place = 0; place < kWinogradPlaces; ++place) {
    for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
      for (int64_t k = 0; k < shape.inputs; k += kTileRows) {
        OuterTask task = {};
        task.a = input + place * WinogradMatrix(capacity, shape.inputs) + k;
        task.a_step = static_cast<size_t>(shape.inputs);
        task.b = gradient + place * WinogradMatrix(capacity, shape.outputs) + panel;
        task.b_step = static_cast<size_t>(shape.outputs);
        task.runs = 1;
        task.run_size = static_cast<size_t>(rows);
        task.add = true;
        task.c = transformed_weight_gradient + (place * shape.outputs + panel) * shape.inputs +
                 k * kPanel;
        RunTiles(kOuterTiles, static_cast<size_t>(std::min(kTileRows, shape.inputs - k)), 1, kPanel,
                 task);
      }
    }
  }
}

void TransformWeights(int64_t inner, int64_t columns, int64_t panel, const float* panels,
                      float* transformed) {
  const FloatTag d;
  const auto tap = static_cast<size_t>(inner * kPanel);
  const auto matrix = static_cast<size_t>(inner * columns);
  const float* from = panels + panel * 9 * inner * kPanel;
  float* to = transformed + panel * inner * kPanel;
  for (size_t c = 0; c < tap; c += hn::Lanes(d)) {
    Floats weights[3][3];
    for (size_t i = 0; i < 9; ++i) weights[i / 3][i % 3] = hn::LoadU(d, from + i * tap + c);
    Floats result[4][4];
    TransformTile<WeightTransform>(weights, result);
    for (size_t i = 0; i < kPlaces; ++i) {
      hn::StoreU(result[i / 4][i % 4], d, to + i * matrix + c);
    }
  }
}

void GradientOfWeights(const ConvolutionShape& shape, const float* transformed_weight_gradient,
                       float* weight_gradient) {
  const FloatTag d;
  const auto tap = static_cast<size_t>(shape.inputs * kPanel);
  const auto matrix = static_cast<size_t>(shape.inputs * shape.outputs);
  for (int64_t panel = 0; panel < shape.outputs / kPanel; ++panel) {
    const float* from = transformed_weight_gradient + panel * shape.inputs * kPanel;
    float* to = weight_gradient + panel * 9 * shape.inputs * kPanel;
    for (size_t c = 0; c < tap; c += hn::Lanes(d)) {
      Floats gradient[4][4];
      for (size_t i = 0; i < kPlaces; ++i) {
        gradient[i / 4][i % 4] = hn::LoadU(d, from + i * matrix + c);
      }
      Floats result[3][3];
      TransformTile<WeightGradient>(gradient, result);
      for (size_t i = 0; i < 9; ++i) hn::StoreU(result[i / 3][i % 3], d, to + i * tap + c);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace atelier::models {

HWY_EXPORT(TransformWeights);
HWY_EXPORT(WinogradConvolve);
HWY_EXPORT(StoreWinogradOutput);
HWY_EXPORT(TransformInput);
HWY_EXPORT(TransformGradient);
HWY_EXPORT(AddTransformedGradient);
HWY_EXPORT(GradientOfWeights);

void TransformWeights(int64_t inner, int64_t columns, int64_t panel, const float* panels,
                      float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformWeights)(inner, columns, panel, panels, transformed);
}

void WinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                      const float* transformed, const float* bias, Activation activation,
                      float* scratch, float* output) {
  HWY_DYNAMIC_DISPATCH(WinogradConvolve)
  (shape, padded_input, transformed, bias, activation, scratch, output);
}

void StoreWinogradOutput(const ConvolutionShape& shape, const float* products, const float* bias,
                         Activation activation, float* output) {
  HWY_DYNAMIC_DISPATCH(StoreWinogradOutput)(shape, products, bias, activation, output);
}

void TransformInput(const ConvolutionShape& shape, const float* padded_input, int64_t capacity,
                    int64_t row, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformInput)(shape, padded_input, capacity, row, transformed);
}

void TransformGradient(const ConvolutionShape& shape, const float* padded_gradient,
                       int64_t capacity, int64_t row, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformGradient)(shape, padded_gradient, capacity, row, transformed);
}

void AddTransformedGradient(const ConvolutionShape& shape, int64_t capacity, int64_t rows,
                            const float* input, const float* gradient,
                            float* transformed_weight_gradient) {
  HWY_DYNAMIC_DISPATCH(AddTransformedGradient)
  (shape, capacity, rows, input, gradient, transformed_weight_gradient);
}

void GradientOfWeights(const ConvolutionShape& shape, const float* transformed_weight_gradient,
                       float* weight_gradient) {
  HWY_DYNAMIC_DISPATCH(GradientOfWeights)(shape, transformed_weight_gradient, weight_gradient);
}

}  // namespace atelier::models
#endif  // HWY_ONCE
