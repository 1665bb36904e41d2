// 3×3 convolutions with products of bfloat16, summed in float32 (pair_products.h): every pixel's
// inputs under a row of the kernel lie side by side, so a convolution is three matrix products that
// need no copy of the image. What lies between two rows of pixels is computed along and dropped.
// Made for AMX, whose tiles take many rows at a time; see pair_winograd.h for AVX-512.
// Images, panels and threads as in panel_kernels.h; input and output channels are multiples of
// kPanel, weights are in panels of pairs of 9 · inputs rows.
#ifndef ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_
#define ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_

#include <cstdint>

#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {

// Positions of a padded image from its first pixel to its last, with the border between them.
constexpr int64_t PairPositions(const ConvolutionShape& shape) {
  return (shape.height - 1) * (shape.width + 2) + shape.width;
}
// These as the gradient by the weights adds them up.
constexpr int64_t PairGradientSteps(const ConvolutionShape& shape) {
  return PadToPairStep(PairPositions(shape));
}
// Numbers of a row of the transposed input: as far as the kernel reaches.
constexpr int64_t TransposedInputRow(const ConvolutionShape& shape) {
  return PadToPairStep(PairGradientSteps(shape) + 2 * (shape.width + 3));
}
constexpr int64_t TransposedInputSize(const ConvolutionShape& shape) {
  return TransposedInputRow(shape) * shape.inputs;
}
constexpr int64_t PairedGradientSize(const ConvolutionShape& shape) {
  return PairGradientSteps(shape) * shape.outputs;
}

// As Convolve.
void PairConvolve(const ConvolutionShape& shape, const Bfloat16* padded_input,
                  const Bfloat16* weights, const float* bias, Activation activation, float* output);

// An image's padded input with a row a channel, and the padded gradient by the output in panels of
// pairs with a row a position: what the gradient by the weights is made of.
void TransposeInput(const ConvolutionShape& shape, const Bfloat16* padded_input,
                    Bfloat16* transposed);
void PairGradient(const ConvolutionShape& shape, const float* padded_gradient, Bfloat16* pairs);

// Images' padded inputs as MultiplyPairs reads them: `count` images, `size` numbers from each
// other, and how many numbers it is from a channel, a row or column of the kernel, and a step of a
// sum to the next one.
struct PairedImages {
  const Bfloat16* data;
  int64_t count;
  int64_t size;
  int64_t channel;
  int64_t row;
  int64_t column;
  int64_t step;
};

// Adds these images' share to the gradient by the weights, in float32 panels: for each tap a sum of
// `steps` steps an image. It goes on to the next `steps_at_once` when it has added them for all
// taps, so that they stay in the nearest cache. `gradients` are panels of pairs of `steps` rows.
void AddTapGradients(const ConvolutionShape& shape, const PairedImages& images, int64_t steps,
                     int64_t steps_at_once, const Bfloat16* gradients, float* weight_gradient);

// Adds the share of so many images to the gradient by the weights, in float32 panels.
void AddPairWeightGradient(const ConvolutionShape& shape, int64_t images,
                           const Bfloat16* transposed_inputs, const Bfloat16* paired_gradients,
                           float* weight_gradient);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_
