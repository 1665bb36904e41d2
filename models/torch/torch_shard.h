// A shard's pass by LibTorch's operators and autograd, of any network in any precision on any
// device; our own kernels (PackedShard) are compared with it. Weights lie in the order of
// TensorSpecsOf. Private to models/.
#ifndef ATELIER_MODELS_TORCH_TORCH_SHARD_H_
#define ATELIER_MODELS_TORCH_TORCH_SHARD_H_

#include <cstdint>
#include <memory>

#include "models/base/float_buffer.h"
#include "models/data/dataset.h"
#include "models/network/shard_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

// Images and parameters must outlive it; of these there may be more than the network has, as
// the optimizer wants.
std::unique_ptr<ShardNetwork> MakeTorchShard(const TrainingOptions& options,
                                             const LabeledImages& images,
                                             const FloatBuffer& parameters);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_TORCH_SHARD_H_
