// The end of a shard's pass by our own kernels: dense layers with dropout, the loss, and the way
// back to what the dense layers were given. In memory that is allocated once. Not thread-safe.
#ifndef ATELIER_MODELS_KERNELS_PACKED_HEAD_H_
#define ATELIER_MODELS_KERNELS_PACKED_HEAD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "models/base/float_buffer.h"
#include "models/data/dataset.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/shard_dense.h"
#include "models/network/shard_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

class PackedHead {
 public:
  // For up to `max_images` images at a time. Layout, images, parameters and transposed weights (in
  // that layout) must outlive it.
  PackedHead(const TrainingOptions& options, const PackedLayout& layout,
             const LabeledImages& images, const float* parameters, const float* derived,
             int64_t max_images);

  // What the dense layers get, a row an image, and its gradient; that stays zero where no layer is
  // before them.
  float* features() const { return features_.data(); }
  const float* features_gradient() const { return features_gradient_.data(); }

  void Forward(int64_t count, RandomStream& random);
  // Of the images at `indices`, that went forward, in a batch of so many. With class weights the
  // gradients are those of the weighted losses' sum over that number.
  PassResult Loss(absl::Span<const int32_t> indices, int64_t batch);
  void Backward(int64_t count, float* gradients);

 private:
  // A dense layer's, a row an image.
  struct DenseState {
    FloatBuffer values;
    FloatBuffer gradient;
    std::unique_ptr<ShardDense> product;
  };

  // From an image's probabilities to the gradient by its logits, times the batch's images, with
  // class weights.
  void WeightGradient(int64_t label, float* gradient) const;

  const PackedLayout& layout_;
  const LabeledImages& images_;
  const float dropout_;
  const float label_smoothing_;
  const int64_t classes_;
  // Empty if all classes count the same.
  const std::vector<float> class_weights_;
  FloatBuffer features_;
  FloatBuffer features_gradient_;
  std::vector<DenseState> dense_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PACKED_HEAD_H_
