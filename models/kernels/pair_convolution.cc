#include "models/kernels/pair_convolution.h"

#include <algorithm>
#include <array>

namespace atelier::models {
namespace {

// Positions that are computed before they are stored: they stay in the nearest cache.
constexpr int64_t kPositions = 128;
// The last ones take up to this many more along, rather than start anew.
constexpr int64_t kMorePositions = 32;
// Positions that the gradient by the weights adds up for all taps before it goes on, so that they
// stay in the nearest cache.
constexpr int64_t kGradientSteps = 256;

}  // namespace

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
    for (int64_t first = 0; first < positions;) {
      const int64_t left = positions - first;
      const int64_t now = left <= kPositions + kMorePositions ? left : kPositions;
      task.a = padded_input + first * shape.inputs;
      MultiplyPairs({&task, 1}, now);
      StorePixels(first, now, results, shape.width, shape.outputs, activation, output + panel);
      first += now;
    }
  }
}

void TransposeInput(const ConvolutionShape& shape, const Bfloat16* padded_input,
                    Bfloat16* transposed) {
  TransposeRows((shape.height + 2) * (shape.width + 2), shape.inputs, padded_input,
                TransposedInputRow(shape), transposed);
}

void PairGradient(const ConvolutionShape& shape, const float* padded_gradient, Bfloat16* pairs) {
  const float* first = padded_gradient + shape.padded_row(shape.outputs) + shape.outputs;
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    PairRows(PairPositions(shape), kPanel, first + panel, shape.outputs, PairGradientSteps(shape),
             pairs + panel * PairGradientSteps(shape));
  }
}

void AddTapGradients(const ConvolutionShape& shape, const PairedImages& images, int64_t steps,
                     int64_t steps_at_once, const Bfloat16* gradients, float* weight_gradient) {
  for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
    for (int64_t channel = 0; channel < shape.inputs; channel += kPanel) {
      for (int64_t step = 0; step < steps; step += steps_at_once) {
        std::array<PairTask, 9> tasks;
        for (int64_t tap = 0; tap < 9; ++tap) {
          PairTask& task = tasks[static_cast<size_t>(tap)];
          task.a = images.data + channel * images.channel + tap / 3 * images.row +
                   tap % 3 * images.column + step * images.step;
          task.a_stride = images.channel;
          task.a_step = 2 * images.step;
          task.segments = images.count;
          task.a_segment_stride = images.size;
          task.segment_size = std::min(steps_at_once, steps - step);
          task.b = gradients + panel * steps + step * kPanel;
          task.b_segment_stride = steps * shape.outputs;
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

void AddPairWeightGradient(const ConvolutionShape& shape, int64_t images,
                           const Bfloat16* transposed_inputs, const Bfloat16* paired_gradients,
                           float* weight_gradient) {
  const PairedImages paired = {.data = transposed_inputs,
                               .count = images,
                               .size = TransposedInputSize(shape),
                               .channel = TransposedInputRow(shape),
                               .row = shape.width + 2,
                               .column = 1,
                               .step = 1};
  AddTapGradients(shape, paired, PairGradientSteps(shape), kGradientSteps, paired_gradients,
                  weight_gradient);
}

}  // namespace atelier::models
