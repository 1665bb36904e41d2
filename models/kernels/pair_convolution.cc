#include "models/kernels/pair_convolution.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "models/kernels/winograd.h"

namespace atelier::models {
namespace {

// Positions that are computed before they are stored: they stay in the nearest cache.
constexpr int64_t kPositions = 128;
// The last ones take up to this many more along, rather than start anew.
constexpr int64_t kMorePositions = 32;
// Positions that the gradient by the weights adds up for all taps before it goes on, so that they
// stay in the nearest cache: by tiles and by vectors.
constexpr int64_t kTileGradientSteps = 256;
constexpr int64_t kVectorGradientSteps = 128;

bool ByVectors() { return FindPairUnit() == PairUnit::kAvx512; }

// Positions of a padded image from its first pixel to its last, with the border between them.
int64_t PairPositions(const ConvolutionShape& shape) {
  return (shape.height - 1) * (shape.width + 2) + shape.width;
}

// Numbers of a row of the transposed input for tiles: as far as the kernel reaches.
int64_t TransposedInputRow(const ConvolutionShape& shape) {
  return PadToPairStep(PairGradientSteps(shape) + 2 * (shape.width + 3));
}

// Pixels of a row for vectors, which take them by two.
int64_t EvenWidth(const ConvolutionShape& shape) { return (shape.width + 1) / 2 * 2; }

// Of an image's input by pairs that begin at one of a kernel's columns.
int64_t PairedColumnSize(const ConvolutionShape& shape) {
  return (shape.height + 2) * EvenWidth(shape) * shape.inputs;
}

}  // namespace

int64_t PairGradientSteps(const ConvolutionShape& shape) {
  return ByVectors() ? shape.height * EvenWidth(shape) : PadToPairStep(PairPositions(shape));
}

int64_t TransposedInputSize(const ConvolutionShape& shape) {
  return ByVectors() ? 3 * PairedColumnSize(shape) : TransposedInputRow(shape) * shape.inputs;
}

int64_t PairedGradientSize(const ConvolutionShape& shape) {
  return PairGradientSteps(shape) * shape.outputs;
}

void PairConvolve(const ConvolutionShape& shape, const Bfloat16* padded_input,
                  const Bfloat16* weights, const float* bias, Activation activation,
                  float* output) {
  alignas(64) float results[(kPositions + kMorePositions) * kPanel];
  const int64_t positions = PairPositions(shape);
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    PairTask task;
    task.a_stride = shape.inputs;
    task.segments = 3;
    task.a_segment_stride = shape.padded_row(shape.inputs);
    task.segment_size = 3 * shape.inputs;
    task.b = weights + panel * 9 * shape.inputs;
    task.b_segment_stride = task.segment_size * kPanel;
    task.start = bias != nullptr ? bias + panel : nullptr;
    task.c = results;
    task.c_stride = kPanel;
    const auto compute = [&](int64_t first, int64_t count) {
      task.a = padded_input + first * shape.inputs;
      MultiplyPairs({&task, 1}, count);
      StorePixels(first, count, results, shape.width, shape.outputs, activation, output + panel);
    };
    if (ByVectors()) {
      for (int64_t y = 0; y < shape.height; ++y) {
        for (int64_t x = 0; x < shape.width; x += kPositions) {
          compute(y * (shape.width + 2) + x, std::min(kPositions, shape.width - x));
        }
      }
      continue;
    }
    for (int64_t first = 0; first < positions;) {
      const int64_t left = positions - first;
      const int64_t now = left <= kPositions + kMorePositions ? left : kPositions;
      compute(first, now);
      first += now;
    }
  }
}

bool PairsAreTransformed() { return ByVectors(); }

void PairTransformedWeights(int64_t inner, int64_t columns, int64_t panel, const float* transformed,
                            Bfloat16* pairs) {
  for (int64_t place = 0; place < kWinogradPlaces; ++place) {
    const int64_t at = (place * columns + panel * kPanel) * inner;
    PairRows(inner, transformed + at, kPanel, inner, pairs + at);
  }
}

void PairWinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                          const Bfloat16* transformed, const float* bias, Activation activation,
                          float* scratch, Bfloat16* rounded, float* output) {
  const int64_t tiles = WinogradTiles(shape);
  const int64_t matrix = WinogradMatrix(tiles, shape.inputs);
  const int64_t product = WinogradMatrix(tiles, kPanel);
  float* const products = scratch + kWinogradPlaces * matrix;
  TransformInput(shape, padded_input, tiles, 0, scratch);
  RoundNumbers(kWinogradPlaces * matrix, scratch, rounded);
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    std::array<PairTask, kWinogradPlaces> tasks;
    for (int64_t place = 0; place < kWinogradPlaces; ++place) {
      PairTask& task = tasks[static_cast<size_t>(place)];
      task.a = rounded + place * matrix;
      task.a_stride = shape.inputs;
      task.segment_size = shape.inputs;
      task.b = transformed + (place * shape.outputs + panel) * shape.inputs;
      task.c = products + place * product;
      task.c_stride = kPanel;
    }
    MultiplyPairs(tasks, tiles);
    StoreWinogradOutput(shape, products, bias != nullptr ? bias + panel : nullptr, activation,
                        output + panel);
  }
}

void TransposeInput(const ConvolutionShape& shape, const Bfloat16* padded_input,
                    Bfloat16* transposed) {
  if (!ByVectors()) {
    return TransposeRows((shape.height + 2) * (shape.width + 2), shape.inputs, padded_input,
                         TransposedInputRow(shape), transposed);
  }
  const int64_t width = EvenWidth(shape);
  for (int64_t column = 0; column < 3; ++column) {
    for (int64_t y = 0; y < shape.height + 2; ++y) {
      InterleaveRows(std::min(width, shape.width + 2 - column), shape.inputs,
                     padded_input + (y * (shape.width + 2) + column) * shape.inputs,
                     transposed + column * PairedColumnSize(shape) + y * width * shape.inputs);
    }
  }
}

void PairGradient(const ConvolutionShape& shape, const float* padded_gradient, Bfloat16* pairs) {
  const float* first = padded_gradient + shape.padded_row(shape.outputs) + shape.outputs;
  const int64_t steps = PairGradientSteps(shape);
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    if (!ByVectors()) {
      PairRows(PairPositions(shape), first + panel, shape.outputs, steps, pairs + panel * steps);
      continue;
    }
    for (int64_t y = 0; y < shape.height; ++y) {
      PairRows(shape.width, first + y * shape.padded_row(shape.outputs) + panel, shape.outputs,
               EvenWidth(shape), pairs + panel * steps + y * EvenWidth(shape) * kPanel);
    }
  }
}

void AddPairWeightGradient(const ConvolutionShape& shape, int64_t images,
                           const Bfloat16* transposed_inputs, const Bfloat16* paired_gradients,
                           float* weight_gradient) {
  const bool vectors = ByVectors();
  const int64_t row = TransposedInputRow(shape);
  const int64_t steps = PairGradientSteps(shape);
  const int64_t steps_at_once = vectors ? kVectorGradientSteps : kTileGradientSteps;
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    for (int64_t channel = 0; channel < shape.inputs; channel += kPanel) {
      for (int64_t step = 0; step < steps; step += steps_at_once) {
        std::array<PairTask, 9> tasks;
        for (int64_t tap = 0; tap < 9; ++tap) {
          PairTask& task = tasks[static_cast<size_t>(tap)];
          if (vectors) {
            const int64_t position = tap / 3 * EvenWidth(shape) + step;
            task.a = transposed_inputs + tap % 3 * PairedColumnSize(shape) +
                     position * shape.inputs + 2 * channel;
            task.a_stride = 2;
            task.a_step = 2 * shape.inputs;
          } else {
            const int64_t position = tap / 3 * (shape.width + 2) + tap % 3 + step;
            task.a = transposed_inputs + channel * row + position;
            task.a_stride = row;
          }
          task.segments = images;
          task.a_segment_stride = TransposedInputSize(shape);
          task.segment_size = std::min(steps_at_once, steps - step);
          task.b = paired_gradients + panel * steps + step * kPanel;
          task.b_segment_stride = PairedGradientSize(shape);
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
