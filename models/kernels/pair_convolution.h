// 3×3 convolutions with products of bfloat16, summed in float32 (pair_products.h): every pixel's
// inputs under a row of the kernel lie side by side, so a convolution is three matrix products that
// need no copy of the image. Tiles, which take many rows at a time, compute what lies between two
// rows of pixels along, to be dropped; vectors compute pixels alone. Images, panels and threads as
// in panel_kernels.h; input and output channels are multiples of kPanel, weights are in panels of
// pairs of 9 · inputs rows. All sizes are those of this machine's PairUnit.
#ifndef ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_
#define ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_

#include <cstdint>

#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {

// Positions of an image as the gradient by the weights adds them up.
int64_t PairGradientSteps(const ConvolutionShape& shape);
// Numbers of what TransposeInput and PairGradient make.
int64_t TransposedInputSize(const ConvolutionShape& shape);
int64_t PairedGradientSize(const ConvolutionShape& shape);

// Whether this machine computes by PairWinogradConvolve what it trains and serves: vectors gain by
// fewer products, tiles lose more by the transformation.
bool PairsAreTransformed();

// One panel of transformed weights (TransformWeights), rounded, as a panel of pairs of `inner` rows
// for each place.
void PairTransformedWeights(int64_t inner, int64_t columns, int64_t panel, const float* transformed,
                            Bfloat16* pairs);

// As WinogradConvolve with the transformed image rounded and transformed weights as above.
// `scratch` as there, `rounded` for kWinogradPlaces · WinogradMatrix(tiles,
// inputs) numbers.
void PairWinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                          const Bfloat16* transformed, const float* bias, Activation activation,
                          float* scratch, Bfloat16* rounded, float* output);

// As Convolve.
void PairConvolve(const ConvolutionShape& shape, const Bfloat16* padded_input,
                  const Bfloat16* weights, const float* bias, Activation activation, float* output);

// An image's padded input, for tiles with a row a channel, for vectors in pairs of pixels of a row
// that begin at each of a kernel's columns; and the padded gradient by the output in panels of
// pairs with a row a position: what the gradient by the weights is made of.
void TransposeInput(const ConvolutionShape& shape, const Bfloat16* padded_input,
                    Bfloat16* transposed);
void PairGradient(const ConvolutionShape& shape, const float* padded_gradient, Bfloat16* pairs);

// Adds the share of so many images to the gradient by the weights, in float32 panels.
void AddPairWeightGradient(const ConvolutionShape& shape, int64_t images,
                           const Bfloat16* transposed_inputs, const Bfloat16* paired_gradients,
                           float* weight_gradient);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PAIR_CONVOLUTION_H_
