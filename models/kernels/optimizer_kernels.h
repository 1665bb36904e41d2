// The rules by which optimisers change a network's parameters by their gradients, vectorised by
// Highway with the processor's widest instructions chosen at run time. A rule changes numbers
// [begin, begin + count) of its buffers, both multiples of 32, and touches each once. A gradient is
// the sum of the shards' gradients, added in their order. Thread-safe for ranges that do not
// overlap; nothing is allocated.
#ifndef ATELIER_MODELS_KERNELS_OPTIMIZER_KERNELS_H_
#define ATELIER_MODELS_KERNELS_OPTIMIZER_KERNELS_H_

#include <cstdint>

#include "absl/types/span.h"

namespace atelier::models {

// One buffer a shard, at least one.
using ShardGradients = absl::Span<const float* const>;

// One step of Adam (Kingma and Ba 2015) as Keras writes it: epsilon beside the uncorrected root of
// the second moment. `rate` has the bias corrections in it.
struct AdamRule {
  float rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  // What of a parameter is left by decoupled weight decay (AdamW).
  float keep = 1;
  // Share of a parameter that is added to its gradient (L2 regularisation).
  float decay = 0;
};

void UpdateByAdam(const AdamRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                  float* first, float* second, float* parameters);

// One step of stochastic gradient descent as PyTorch writes it: velocity = momentum · velocity +
// gradient, and the parameter moves against the velocity, or with Nesterov against gradient +
// momentum · velocity.
struct SgdRule {
  float rate = 0;
  float momentum = 0;
  bool nesterov = false;
  // As AdamRule's.
  float decay = 0;
};

// `velocity` is null without momentum.
void UpdateBySgd(const SgdRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                 float* velocity, float* parameters);

// One step of RMSprop (Hinton 2012) as PyTorch writes it, not centred: the gradient over the root
// of its squares' moving mean and epsilon is what SgdRule calls the gradient.
struct RmspropRule {
  float rate = 0;
  // Of the squares' mean, PyTorch's alpha.
  float beta2 = 0;
  float epsilon = 0;
  float momentum = 0;
  // As AdamRule's.
  float decay = 0;
};

// `velocity` is null without momentum.
void UpdateByRmsprop(const RmspropRule& rule, ShardGradients gradients, int64_t begin,
                     int64_t count, float* second, float* velocity, float* parameters);

// Writes the gradients themselves to `sums`; returns the sum of their squares.
double SumGradients(ShardGradients gradients, int64_t begin, int64_t count, float* sums);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_OPTIMIZER_KERNELS_H_
