#include "models/kernels/pair_winograd.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"

namespace atelier::models {
namespace {

// Positions that the gradient by the weights adds up for all taps before it goes on, so that they
// stay in the nearest cache.
constexpr int64_t kGradientSteps = 128;

// Of an image's input in pairs that begin at one of a kernel's columns.
int64_t ColumnSize(const ConvolutionShape& shape) { return PixelPairsSize(shape) / 3; }

}  // namespace

bool PairsAreTransformed() { return FindPairUnit() == PairUnit::kAvx512; }

void PairTransformedWeights(int64_t inner, int64_t columns, int64_t panel, const float* transformed,
                            Bfloat16* pairs) {
  for (int64_t place = 0; place < kWinogradPlaces; ++place) {
    const int64_t at = (place * columns + panel * kPanel) * inner;
    PairRows(inner, transformed + at, kPanel, inner, pairs + at);
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
      InterleaveRows(std::min(width, shape.width + 2 - column), shape.inputs,
                     padded_input + (y * (shape.width + 2) + column) * shape.inputs,
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
      PairRows(shape.width, first + y * shape.padded_row(shape.outputs) + panel, shape.outputs,
               width, pairs + panel * PixelPairSteps(shape) + y * width * kPanel);
    }
  }
}

void AddPixelPairGradient(const ConvolutionShape& shape, int64_t images, const Bfloat16* inputs,
                          const Bfloat16* gradients, float* weight_gradient) {
  const int64_t steps = PixelPairSteps(shape);
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    for (int64_t channel = 0; channel < shape.inputs; channel += kPanel) {
      for (int64_t step = 0; step < steps; step += kGradientSteps) {
        std::array<PairTask, 9> tasks;
        for (int64_t tap = 0; tap < 9; ++tap) {
          PairTask& task = tasks[static_cast<size_t>(tap)];
          task.a = inputs + tap % 3 * ColumnSize(shape) +
                   (tap / 3 * PairedWidth(shape) + step) * shape.inputs + 2 * channel;
          task.a_stride = 2;
          task.a_step = 2 * shape.inputs;
          task.segments = images;
          task.a_segment_stride = PixelPairsSize(shape);
          task.segment_size = std::min(kGradientSteps, steps - step);
          task.b = gradients + panel * steps + step * kPanel;
          task.b_segment_stride = GradientPairsSize(shape);
          task.c = weight_gradient + (panel * 9 + tap * kPanel) * shape.inputs + channel * kPanel;
          task.c_stride = kPanel;
          task.start = task.c;
          task.start_stride = kPanel;
        }
        MultiplyPairs(tasks, kPanel);
      }
    }
  }
}

}  // namespace atelier::models
