// What lies between the matrix products of a training step, vectorised by Highway with the
// processor's widest instructions chosen at run time: batch normalisation with the pooling after
// it, their gradients with that of the ReLU before them, and pixels. Each touches its numbers once.
// Images are height × width × channels, channels a multiple of 32. Thread-safe; nothing is
// allocated.
#ifndef ATELIER_MODELS_KERNELS_LAYER_KERNELS_H_
#define ATELIER_MODELS_KERNELS_LAYER_KERNELS_H_

#include <cstdint>

namespace atelier::models {

// One image before pooling; pixels that no window covers (height or width modulo pool) are dropped.
struct PoolShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  // Edge and stride of the windows; 1 for no pooling.
  int64_t pool = 1;
  // Numbers from one row of the pooled image to the next, which may have a border.
  int64_t pooled_row_stride = 0;

  int64_t pooled_height() const { return height / pool; }
  int64_t pooled_width() const { return width / pool; }
  int64_t pooled_pixels() const { return pooled_height() * pooled_width(); }
  int64_t pooled_size() const { return pooled_pixels() * channels; }
};

// Adds each channel's sum and sum of squares over the pixels.
void AddSums(int64_t pixels, int64_t channels, const float* values, double* sums, double* squares);

// pooled = max pooling of values · scale + shift, scale and shift being per channel. With
// pool ≥ 2, `winners` (null otherwise) gets the value at each window's largest result, without the
// border.
void NormalizeAndPool(const PoolShape& shape, const float* values, const float* scale,
                      const float* shift, float* winners, float* pooled);

// Adds `rows` rows of `size` numbers, a multiple of 32, to others; rows are strides apart.
void AddRows(int64_t rows, int64_t size, const float* from, int64_t from_stride, float* to,
             int64_t to_stride);

// Adds each channel's sum of gradient and of gradient · values over the pixels.
void AddProducts(int64_t pixels, int64_t channels, const float* gradient, const float* values,
                 double* sums, double* products);

// Of batch normalisation, per channel: the gradient by a value x is
// scale · (gradient by the result) + slope · x + offset.
struct NormGradient {
  const float* scale;
  const float* shift;
  const float* slope;
  const float* offset;
};

// The gradient by what went into ReLU, normalisation and pooling: `values` are what came out of the
// ReLU, `pooled` the results of NormalizeAndPool and `gradient` the gradient by them (without the
// border). A window's gradient goes to its first largest result. Written with a border, which is
// left alone; its sum by channel is added to bias_gradient.
void BackThroughPoolNormRelu(const PoolShape& shape, const NormGradient& norm, const float* values,
                             const float* pooled, const float* gradient, float* padded_result,
                             float* bias_gradient);

// Bytes divided by 255.
void PixelsToUnit(const uint8_t* pixels, int64_t count, float* values);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_LAYER_KERNELS_H_
