// A network in training, as the path that covers it computes it: trainable numbers in the order
// that suits the path, and a ShardNetwork for each shard that reads them. The one place that
// decides who computes a training. Private to models/. Belongs to one thread, but for the shards,
// which run side by side.
#ifndef ATELIER_MODELS_COMPUTE_TRAINING_NETWORK_H_
#define ATELIER_MODELS_COMPUTE_TRAINING_NETWORK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "models/base/float_buffer.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/network/compute_path.h"
#include "models/network/shard_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

class TrainingNetwork {
 public:
  virtual ~TrainingNetwork() = default;

  // By the kernels where they cover options.architecture in its precision on its device with its
  // frozen layers and options.path_choice lets them, else by LibTorch. Parameters are zeros.
  // `images` must outlive it; options must be valid. Throws std::bad_alloc and what LibTorch
  // throws.
  static std::unique_ptr<TrainingNetwork> Create(const TrainingOptions& options,
                                                 const LabeledImages& images);

  virtual ComputePath path() const = 0;

  // All shards' trainable numbers: as many as each shard has gradients, a multiple of kPanel; zero
  // where none of them lies. Code that changes them calls Update before the shards run.
  const FloatBuffer& parameters() const { return parameters_; }
  // Where number i in the order of TensorSpecsOf lies among them.
  virtual size_t Position(size_t i) const = 0;
  // Derives from the parameters what the shards read besides.
  virtual void Update(ThreadTeam& team) = 0;

  ShardNetwork& shard(int64_t i) const { return *shards_[static_cast<size_t>(i)]; }
  // Seconds by part, summed over the shards.
  StepProfile profile() const;

 protected:
  explicit TrainingNetwork(int64_t size) : parameters_(size) {}
  void AddShard(std::unique_ptr<ShardNetwork> shard) { shards_.push_back(std::move(shard)); }

 private:
  const FloatBuffer parameters_;
  std::vector<std::unique_ptr<ShardNetwork>> shards_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_COMPUTE_TRAINING_NETWORK_H_
