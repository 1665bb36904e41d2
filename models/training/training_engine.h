// One optimiser step, fast: a batch is split into shards, each shard runs forward and backward on a
// thread of its own with its own gradients, and ParameterUpdate changes the weights that all shards
// read. Owns weights, what the optimiser remembers, and the threads. What comes out depends on the
// number of shards but not of threads, nor of ranks, where several processes share the shards. Who
// computes them is TrainingNetwork's business.
// Private to models/, but without LibTorch's headers; methods throw what LibTorch throws. Belongs
// to one thread.
#ifndef ATELIER_MODELS_TRAINING_TRAINING_ENGINE_H_
#define ATELIER_MODELS_TRAINING_TRAINING_ENGINE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "models/base/rank_group.h"
#include "models/base/step_profile.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/network/compute_path.h"
#include "models/network/shard_network.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"

namespace atelier::models {

class TrainingEngine {
 public:
  // Begins with the model's weights and an optimiser that remembers nothing. `images` and `ranks`,
  // which is null for a process that trains alone, must outlive the engine; options must be valid.
  TrainingEngine(const TrainingOptions& options, const LabeledImages& images,
                 const TrainedModel& model, RankGroup* ranks = nullptr);
  ~TrainingEngine();

  // Trains one step on the images at `indices` (1 to batch_size of them) at a learning rate. `step`
  // counts all steps, from 0; it names the random numbers and the optimiser's time. Sums over the
  // images. Throws RankLost.
  PassResult Step(absl::Span<const int32_t> indices, int64_t step, double learning_rate);

  // The weights now, and the way back.
  std::vector<NamedTensor> Weights() const;
  // Their moving average and its way back; without average_decay the weights, and nothing is set.
  std::vector<NamedTensor> AveragedWeights() const;
  void SetAverage(const TrainedModel& model);
  // What the optimiser remembers, as ParameterUpdate::state, in the order of the trainable weights,
  // and its way back; sizes must be those of OptimizerState.
  std::vector<std::vector<float>> OptimizerState() const;
  void SetOptimizerState(absl::Span<const std::vector<float>> state);

  // What computes the shards.
  ComputePath path() const;

  // The engine's threads, for use between steps.
  ThreadTeam& team();

  // Seconds by part since construction, summed over the shards; the optimiser's are wall time.
  StepProfile profile() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_TRAINING_ENGINE_H_
