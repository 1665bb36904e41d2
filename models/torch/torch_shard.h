// A shard's pass by LibTorch's operators and autograd: the path for bfloat16, and what our own
// kernels (PackedShard) are compared with. Weights lie in the order of TensorSpecsOf. Private to
// models/.
#ifndef ATELIER_MODELS_TORCH_TORCH_SHARD_H_
#define ATELIER_MODELS_TORCH_TORCH_SHARD_H_

#include <cstdint>
#include <memory>

#include "models/data/dataset.h"
#include "models/network/shard_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

// Images and parameters must outlive it.
std::unique_ptr<ShardNetwork> MakeTorchShard(const TrainingOptions& options,
                                             const LabeledImages& images, float* parameters);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_TORCH_SHARD_H_
