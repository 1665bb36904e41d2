// Float32 matrices rounded to bfloat16 and laid out as pair_products.h reads them. Rounding is to
// the nearest, ties to even; denormal numbers become zero. Only on machines with a PairUnit.
// Thread-safe; nothing is allocated.
#ifndef ATELIER_MODELS_KERNELS_PAIR_LAYOUTS_H_
#define ATELIER_MODELS_KERNELS_PAIR_LAYOUTS_H_

#include <cstdint>

#include "models/kernels/panel_kernels.h"

namespace atelier::models {

// `count` numbers, a multiple of 32, in the same order.
void RoundNumbers(int64_t count, const float* from, Bfloat16* to);

// `columns` columns, a multiple of 16, of `rows` rows, `stride` numbers from each other, in pairs
// of `padded_rows` rows, an even number: element (k, j) at (k / 2 · columns + j) · 2 + k % 2; rows
// beyond are zero. With kPanel columns that is a panel of pairs.
void PairRows(int64_t rows, int64_t columns, const float* from, int64_t stride, int64_t padded_rows,
              Bfloat16* pairs);

// A padded image as TransformInput of winograd.h transforms it, rounded then: matrices of one row a
// tile and one column a channel, `matrix` numbers from each other.
void TransformTiles(const ConvolutionShape& shape, const float* padded_input, int64_t matrix,
                    Bfloat16* transformed);

// A matrix of `rows` rows and `columns` columns, a multiple of 16, with rows and columns exchanged:
// `columns` rows of `padded_rows` numbers, a multiple of 32; those beyond `rows` are zero.
void TransposeRows(int64_t rows, int64_t columns, const Bfloat16* from, int64_t padded_rows,
                   Bfloat16* to);

// As TransposePanels, in panels of pairs.
void TransposeToPairs(int64_t taps, int64_t inner, int64_t columns, int64_t block,
                      const float* panels, Bfloat16* pairs);

// Rows of 32 numbers from the positions of a padded image `width` + 2 wide, the first of them
// number `first`, to the image without border, whose pixels are `channels` apart; those between
// the rows of pixels are dropped.
void StorePixels(int64_t first, int64_t count, const float* rows, int64_t width, int64_t channels,
                 Activation activation, float* image);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PAIR_LAYOUTS_H_
