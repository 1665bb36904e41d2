// A 3×3 convolution whose inputs fill panels, for one shard in training: the seam between the ways
// to compute it. In float32 that is Winograd's filtering (winograd.h); in bfloat16 products of
// rounded numbers that are summed in float32 (pair_products.h). Images, weights and gradients are
// float32 as panel_kernels.h has them either way. Belongs to one thread at a time; all memory is
// allocated when it is made.
#ifndef ATELIER_MODELS_KERNELS_SHARD_CONVOLUTION_H_
#define ATELIER_MODELS_KERNELS_SHARD_CONVOLUTION_H_

#include <cstdint>
#include <memory>

#include "models/kernels/packed_layout.h"
#include "models/network/precision.h"

namespace atelier::models {

class ShardConvolution {
 public:
  virtual ~ShardConvolution() = default;

  // For up to `max_images` images. `derived` is the layout's and must outlive it. Throws
  // std::bad_alloc.
  static std::unique_ptr<ShardConvolution> Create(const PackedConvLayer& layer, Precision precision,
                                                  const float* derived, int64_t max_images);

  // values = ReLU(convolution of image `image`'s padded input + bias), without border. The input
  // stays what it is until the weights' gradient has been added.
  virtual void Forward(int64_t image, const float* padded_input, const float* bias,
                       float* values) = 0;

  // Adds image `image`'s share to the gradient by the weights, which is all there at the end of the
  // pass' last image, `last`. Images come in order, from 0; `padded_gradient` is that by the
  // output.
  virtual void AddToWeightGradient(int64_t image, int64_t last, const float* padded_input,
                                   const float* padded_gradient, float* weight_gradient) = 0;

  // From that the gradient by the input, without border. Not for a network's first layer.
  virtual void BackToInput(const float* padded_gradient, float* input_gradient) = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_SHARD_CONVOLUTION_H_
