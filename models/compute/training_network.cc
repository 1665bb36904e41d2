#include "models/compute/training_network.h"

#include "models/kernels/coverage.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/packed_shard.h"
#include "models/kernels/panel_kernels.h"
#include "models/network/torch_library.h"

namespace atelier::models {
namespace {

class KernelTrainingNetwork : public TrainingNetwork {
 public:
  KernelTrainingNetwork(const TrainingOptions& options, const LabeledImages& images)
      : KernelTrainingNetwork(options, images,
                              PackedLayout(options.architecture, options.precision)) {}

  ComputePath path() const override { return ComputePath::kKernels; }
  size_t Position(size_t i) const override { return static_cast<size_t>(layout_.positions()[i]); }
  void Update(ThreadTeam& team) override {
    team.Run(layout_.derive_pieces(), [this](int64_t piece) {
      layout_.Derive(piece, parameters().data(), derived_.data());
    });
  }

 private:
  KernelTrainingNetwork(const TrainingOptions& options, const LabeledImages& images,
                        PackedLayout layout)
      : TrainingNetwork(layout.parameters()),
        layout_(std::move(layout)),
        derived_(layout_.derived()) {
    const int64_t images_a_shard = (options.batch_size + options.shards - 1) / options.shards;
    for (int64_t i = 0; i < options.shards; ++i) {
      AddShard(std::make_unique<PackedShard>(options, layout_, images, parameters().data(),
                                             derived_.data(), images_a_shard));
    }
  }

  const PackedLayout layout_;
  const FloatBuffer derived_;
};

// Parameters are in the order of TensorSpecsOf, and nothing is derived from them.
class TorchTrainingNetwork : public TrainingNetwork {
 public:
  TorchTrainingNetwork(const TrainingOptions& options, const LabeledImages& images)
      : TrainingNetwork(PadToPanel(options.architecture.TrainableParameterCount())) {
    for (int64_t i = 0; i < options.shards; ++i) {
      AddShard(TorchLibrary::Get().MakeShard(options, images, parameters()));
    }
  }

  ComputePath path() const override { return ComputePath::kLibTorch; }
  size_t Position(size_t i) const override { return i; }
  void Update(ThreadTeam& /*team*/) override {}
};

}  // namespace

std::unique_ptr<TrainingNetwork> TrainingNetwork::Create(const TrainingOptions& options,
                                                         const LabeledImages& images) {
  if (options.path_choice == PathChoice::kAutomatic &&
      KernelsCoverTraining(options.architecture, options.precision, options.device, options.freeze)
          .ok()) {
    return std::make_unique<KernelTrainingNetwork>(options, images);
  }
  return std::make_unique<TorchTrainingNetwork>(options, images);
}

StepProfile TrainingNetwork::profile() const {
  StepProfile sum;
  for (const auto& shard : shards_) sum.Add(shard->profile());
  return sum;
}

}  // namespace atelier::models
