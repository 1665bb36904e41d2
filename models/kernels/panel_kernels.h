// Matrix products and 3×3 convolutions in float32 for small networks, vectorised by Highway with
// the processor's widest instructions chosen at run time. One idea serves all of them: a weight
// matrix lies in panels of 32 columns, so that the inner loop reads it from front to back and keeps
// a tile of results in registers. Sums are taken in an order that depends on the processor alone.
// Thread-safe; nothing is allocated.
//
// A matrix of `inner` rows and `columns` columns (a multiple of 32) in panels: element (k, j) is at
// (j / 32 · inner + k) · 32 + j % 32. A convolution's inner dimension counts kernel row, kernel
// column and input channel, the last fastest. Images are height × width × channels; a padded one
// has a border of one zero pixel, as same padding wants it.
#ifndef ATELIER_MODELS_KERNELS_PANEL_KERNELS_H_
#define ATELIER_MODELS_KERNELS_PANEL_KERNELS_H_

#include <cstdint>

namespace atelier::models {

// Columns of a panel.
inline constexpr int64_t kPanel = 32;

// The next multiple of a panel's width.
constexpr int64_t PadToPanel(int64_t size) { return (size + kPanel - 1) / kPanel * kPanel; }

// A float32 without its lower half: eight bits of mantissa.
struct Bfloat16 {
  uint16_t bits = 0;
};

// Rounded to the nearest, ties to even; NaN stays NaN.
Bfloat16 RoundToBfloat16(float value);

// One image's 3×3 convolution with same padding.
struct ConvolutionShape {
  int64_t height = 0;
  int64_t width = 0;
  // Channels of an input pixel; any number.
  int64_t inputs = 0;
  // A multiple of kPanel.
  int64_t outputs = 0;

  int64_t padded_row(int64_t channels) const { return (width + 2) * channels; }
  int64_t padded_size(int64_t channels) const { return (height + 2) * padded_row(channels); }
};

// What is done to a result before it is stored.
enum class Activation { kNone, kRelu };

// output (height × width × outputs) = activation(convolution of the padded input + bias); no bias
// if it is null.
void Convolve(const ConvolutionShape& shape, const float* padded_input, const float* weights,
              const float* bias, Activation activation, float* output);

// Adds the image's share of the gradient by the weights, in panels as these. `padded_gradient` is
// the gradient by the convolution's output.
void AddWeightGradient(const ConvolutionShape& shape, const float* padded_input,
                       const float* padded_gradient, float* weight_gradient);

// c (rows × columns) = activation(a · panels + bias), a being rows × inner; no bias if it is null.
// Weights in bfloat16 are widened as they are read; everything else is float32.
void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const float* panels,
              const float* bias, Activation activation, float* c);
void Multiply(int64_t rows, int64_t inner, int64_t columns, const float* a, const Bfloat16* panels,
              const float* bias, Activation activation, float* c);

// panels (inner × columns) = aᵀ · b, a being rows × inner and b rows × columns.
void MultiplyTransposed(int64_t rows, int64_t inner, int64_t columns, const float* a,
                        const float* b, float* panels);

// Adds the rows' sum by column.
void AddColumns(int64_t rows, int64_t columns, const float* values, float* sums);

// Panels of the transposed matrix (columns × inner, inner a multiple of kPanel) for `taps` matrices
// that share their panels, as the nine of a convolution do; the taps' order is turned round, which
// is what the gradient by a convolution's input needs. One tap is a dense layer. Does block `block`
// of inner / 32, so that threads can share the work.
void TransposePanels(int64_t taps, int64_t inner, int64_t columns, int64_t block,
                     const float* panels, float* transposed);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PANEL_KERNELS_H_
