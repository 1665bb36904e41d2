// One shard's forward and backward pass: what the training engine needs of a network on any path. A
// ShardNetwork has its own gradients and batch statistics and reads weights that its maker shares
// among all shards and changes only between passes. Private to models/. Belongs to one thread at a
// time.
#ifndef ATELIER_MODELS_NETWORK_SHARD_NETWORK_H_
#define ATELIER_MODELS_NETWORK_SHARD_NETWORK_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/base/random.h"
#include "models/base/step_profile.h"

namespace atelier::models {

// Sums over images.
struct PassResult {
  double loss_sum = 0;
  int64_t correct = 0;
};

class ShardNetwork {
 public:
  virtual ~ShardNetwork() = default;

  // Forward and backward on the training images at `indices`. Afterwards gradients() are those of
  // the sum of what is minimised (with class weights, the weighted losses) divided by `batch`, and
  // statistics() those of the pass; where a channel had a single number, and so no variance, they
  // stay what they were before. Throws std::bad_alloc and what LibTorch throws.
  virtual PassResult Run(absl::Span<const int32_t> indices, int64_t batch,
                         RandomStream& random) = 0;

  // In the layout of the shared weights and as many: whole panels, zeros behind the last one.
  virtual const float* gradients() const = 0;
  // Means and variances (of n numbers, by n - 1) in the order of TensorSpecsOf.
  virtual absl::Span<float> statistics() = 0;

  const StepProfile& profile() const { return profile_; }

 protected:
  StepProfile profile_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_SHARD_NETWORK_H_
