// 3×3 convolutions in float32 by Winograd's minimal filtering, F(2×2, 3×3) of Lavin and Gray (2016,
// "Fast Algorithms for Convolutional Neural Networks"): the image is cut into tiles of 2×2 results,
// each from 4×4 pixels, and after a transformation of pixels and weights a tile costs 16
// multiplications a channel where the plain way takes 36. What is left are 16 matrix products, one
// for each place of the transformed tile. Images, panels and threads as in panel_kernels.h; input
// and output channels are multiples of kPanel.
//
// A transformed image is 16 matrices of one row a tile and one column a channel, transformed
// weights are 16 of one row an input channel and one column an output channel, in panels. Where
// several images share the matrices they have `capacity` rows and an image's tiles begin at `row`.
#ifndef ATELIER_MODELS_KERNELS_WINOGRAD_H_
#define ATELIER_MODELS_KERNELS_WINOGRAD_H_

#include <cstdint>

#include "models/kernels/panel_kernels.h"

namespace atelier::models {

inline constexpr int64_t kWinogradPlaces = 16;

// Tiles of an image; what lies past its edges is taken as zero.
constexpr int64_t WinogradTiles(const ConvolutionShape& shape) {
  return (shape.height + 1) / 2 * ((shape.width + 1) / 2);
}

// Numbers from one matrix of a transformed image to the next: a cache line more than it holds, lest
// the 16 places of a tile fall on the same few lines of the cache.
constexpr int64_t WinogradMatrix(int64_t rows, int64_t channels) { return rows * channels + 16; }

// Numbers of scratch that WinogradConvolve wants.
constexpr int64_t WinogradScratch(const ConvolutionShape& shape) {
  const int64_t tiles = WinogradTiles(shape);
  return kWinogradPlaces * (WinogradMatrix(tiles, shape.inputs) + WinogradMatrix(tiles, kPanel));
}

// Transforms one panel, number `panel`, of a convolution's weights; `inner` are its input channels,
// `columns` its output channels.
void TransformWeights(int64_t inner, int64_t columns, int64_t panel, const float* panels,
                      float* transformed);

// As Convolve, with transformed weights.
void WinogradConvolve(const ConvolutionShape& shape, const float* padded_input,
                      const float* transformed, const float* bias, Activation activation,
                      float* scratch, float* output);

// The results of one panel of output channels from its 16 products, matrices of one row a tile and
// kPanel columns; `output` is that of the panel's first channel.
void StoreWinogradOutput(const ConvolutionShape& shape, const float* products, const float* bias,
                         Activation activation, float* output);

// For the gradient by the weights: the padded input, and the padded gradient by the output, as it
// is passed back to the products' results.
void TransformInput(const ConvolutionShape& shape, const float* padded_input, int64_t capacity,
                    int64_t row, float* transformed);
void TransformGradient(const ConvolutionShape& shape, const float* padded_gradient,
                       int64_t capacity, int64_t row, float* transformed);

// Adds the share of the first `rows` tiles to the gradient by the transformed weights.
void AddTransformedGradient(const ConvolutionShape& shape, int64_t capacity, int64_t rows,
                            const float* input, const float* gradient,
                            float* transformed_weight_gradient);

// From that the gradient by the weights, in panels as these.
void GradientOfWeights(const ConvolutionShape& shape, const float* transformed_weight_gradient,
                       float* weight_gradient);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_WINOGRAD_H_
