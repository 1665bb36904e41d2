// 3×3 convolutions for processors that multiply bfloat16 by vectors (AVX-512 BF16): by Winograd's
// tiles (winograd.h), the transformed image and weights rounded, with products summed in float32
// (pair_products.h); their gradient by the weights directly, over pairs of neighbouring pixels.
// Vectors gain by fewer products, AMX's tiles would lose more by the transformation. Images, panels
// and threads as in panel_kernels.h; input and output channels are multiples of kPanel.
#ifndef ATELIER_MODELS_KERNELS_PAIR_WINOGRAD_H_
#define ATELIER_MODELS_KERNELS_PAIR_WINOGRAD_H_

#include <cstdint>

#include "models/kernels/panel_kernels.h"
#include "models/kernels/winograd.h"

namespace atelier::models {

// Whether this machine trains and serves by these.
bool PairsAreTransformed();

// One panel of transformed weights (TransformWeights), rounded, as a panel of pairs of `inner` rows
// for each place.
void PairTransformedWeights(int64_t inner, int64_t columns, int64_t panel, const float* transformed,
                            Bfloat16* pairs);

// Numbers that PairWinogradConvolve wants: of the transformed image and of products.
constexpr int64_t PairWinogradImage(const ConvolutionShape& shape) {
  return kWinogradPlaces * WinogradMatrix(WinogradTiles(shape), shape.inputs);
}
constexpr int64_t PairWinogradProducts(const ConvolutionShape& shape) {
  return kWinogradPlaces * WinogradMatrix(WinogradTiles(shape), kPanel);
}

// As Convolve, with transformed weights as above.
void PairWinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                          const Bfloat16* transformed, const float* bias, Activation activation,
                          Bfloat16* image, float* products, float* output);

// Pixels of a row of an image as the gradient by the weights takes them: an even number.
constexpr int64_t PairedWidth(const ConvolutionShape& shape) { return (shape.width + 1) / 2 * 2; }
// Of an image: the steps of each sum, and the numbers of what PairPixels and PairGradientPixels
// make.
constexpr int64_t PixelPairSteps(const ConvolutionShape& shape) {
  return shape.height * PairedWidth(shape);
}
constexpr int64_t PixelPairsSize(const ConvolutionShape& shape) {
  return 3 * (shape.height + 2) * PairedWidth(shape) * shape.inputs;
}
constexpr int64_t GradientPairsSize(const ConvolutionShape& shape) {
  return PixelPairSteps(shape) * shape.outputs;
}

// An image's padded input, rounded, in pairs of pixels of a row: once with pairs that begin at each
// of a kernel's columns. And the padded gradient by the output in panels of pairs.
void PairPixels(const ConvolutionShape& shape, const float* padded_input, Bfloat16* pairs);
void PairGradientPixels(const ConvolutionShape& shape, const float* padded_gradient,
                        Bfloat16* pairs);

// Adds the share of so many images to the gradient by the weights, in float32 panels.
void AddPixelPairGradient(const ConvolutionShape& shape, int64_t images, const Bfloat16* inputs,
                          const Bfloat16* gradients, float* weight_gradient);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PAIR_WINOGRAD_H_
