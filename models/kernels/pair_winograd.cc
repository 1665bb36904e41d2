#include "models/kernels/pair_winograd.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "models/kernels/pair_convolution.h"
#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"

namespace atelier::models {
namespace {

// Positions that the gradient by the weights adds up for all taps before it goes on, so that they
// stay in the nearest cache.
constexpr int64_t kPixelSteps = 128;

// Of an image's input in pairs that begin at one of a kernel's columns.
int64_t ColumnSize(const ConvolutionShape& shape) { return PixelPairsSize(shape) / 3; }

}  // namespace

bool PairsAreTransformed() { return FindPairUnit() == PairUnit::kAvx512; }

void PairTransformedWeights(int64_t inner, int64_t columns, int64_t panel, const float* transformed,
                            Bfloat16* pairs) {
  for (int64_t place = 0; place < kWinogradPlaces; ++place) {
    const int64_t at = (place * columns + panel * kPanel) * inner;
    PairRows(inner, kPanel, transformed + at, kPanel, inner, pairs + at);
  }
}

void PairWinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                          const Bfloat16* transformed, const float* bias, Activation activation,
                          Bfloat16* image, float* products, float* output) {
  const int64_t tiles = WinogradTiles(shape);
  const int64_t matrix = WinogradMatrix(tiles, shape.inputs);
  TransformTiles(shape, padded_input, matrix, image);
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    std::array<PairTask, kWinogradPlaces> tasks;
    for (int64_t place = 0; place < kWinogradPlaces; ++place) {
      PairTask& task = tasks[static_cast<size_t>(place)];
      task.a = image + place * matrix;
      task.a_stride = shape.inputs;
      task.segment_size = shape.inputs;
      task.b = transformed + (place * shape.outputs + panel) * shape.inputs;
      task.c = products + place * WinogradMatrix(tiles, kPanel);
      task.c_stride = kPanel;
    }
    MultiplyPairs(tasks, tiles);
    StoreWinogradOutput(shape, products, bias != nullptr ? bias + panel : nullptr, activation,
                        output + panel);
  }
}

void PairPixels(const ConvolutionShape& shape, const float* padded_input, Bfloat16* pairs) {
  const int64_t width = PairedWidth(shape);
  for (int64_t column = 0; column < 3; ++column) {
    for (int64_t y = 0; y < shape.height + 2; ++y) {
      PairRows(std::min(width, shape.width + 2 - column), shape.inputs,
               padded_input + (y * (shape.width + 2) + column) * shape.inputs, shape.inputs, width,
               pairs + column * ColumnSize(shape) + y * width * shape.inputs);
    }
  }
}

void PairGradientPixels(const ConvolutionShape& shape, const float* padded_gradient,
                        Bfloat16* pairs) {
  const int64_t width = PairedWidth(shape);
  const float* first = padded_gradient + shape.padded_row(shape.outputs) + shape.outputs;
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    for (int64_t y = 0; y < shape.height; ++y) {
      PairRows(shape.width, kPanel, first + y * shape.padded_row(shape.outputs) + panel,
               shape.outputs, width, pairs + panel * PixelPairSteps(shape) + y * width * kPanel);
    }
  }
}

void AddPixelPairGradient(const ConvolutionShape& shape, int64_t images, const Bfloat16* inputs,
                          const Bfloat16* gradients, float* weight_gradient) {
  const PairedImages paired = {.data = inputs,
                               .count = images,
                               .size = PixelPairsSize(shape),
                               .channel = 2,
                               .row = PairedWidth(shape) * shape.inputs,
                               .column = ColumnSize(shape),
                               .step = shape.inputs};
  AddTapGradients(shape, paired, PixelPairSteps(shape), kPixelSteps, gradients, weight_gradient);
}

}  // namespace atelier::models
