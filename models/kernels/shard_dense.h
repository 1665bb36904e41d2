// A dense layer for one shard in training: the seam between the ways to compute it, as
// shard_convolution.h is for convolutions. Rows are images; numbers are float32 either way. Belongs
// to one thread at a time; all memory is allocated when it is made.
#ifndef ATELIER_MODELS_KERNELS_SHARD_DENSE_H_
#define ATELIER_MODELS_KERNELS_SHARD_DENSE_H_

#include <cstdint>
#include <memory>

#include "models/kernels/packed_layout.h"
#include "models/network/precision.h"

namespace atelier::models {

// The gradients by a dense layer's parameters, in float32, from the rows it was given and those by
// its results.
void WriteDenseGradient(const PackedDenseLayer& layer, int64_t rows, const float* input,
                        const float* gradient, float* gradients);

class ShardDense {
 public:
  virtual ~ShardDense() = default;

  // For up to `max_rows` rows. Parameters and derived weights are in the layout that has the layer;
  // all three must outlive it. Throws std::bad_alloc.
  static std::unique_ptr<ShardDense> Create(const PackedDenseLayer& layer, Precision precision,
                                            const float* parameters, const float* derived,
                                            int64_t max_rows);

  // values = activation(input · weights + bias). The input stays what it is until the gradients
  // have been written.
  virtual void Forward(int64_t rows, const float* input, Activation activation, float* values) = 0;

  // The gradients by weights and bias from that by the values, to where the layout has the layer.
  virtual void WriteGradient(int64_t rows, const float* input, const float* gradient,
                             float* gradients) = 0;

  // The gradient by the input. Only for a layer that has transposed weights, after WriteGradient
  // with the same gradient.
  virtual void BackToInput(int64_t rows, const float* gradient, float* input_gradient) = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_SHARD_DENSE_H_
