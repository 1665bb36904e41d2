#include "models/training_engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/network.h"
#include "models/random.h"

namespace atelier::models {
namespace {

// Parameters that one piece of the optimiser's work covers.
constexpr int64_t kAdamChunk = int64_t{1} << 14;

// Views of a network's tensors on two flat buffers: trainable numbers and running statistics.
std::vector<at::Tensor> ViewsOn(const std::vector<TensorSpec>& specs, const at::Tensor& parameters,
                                const at::Tensor& statistics) {
  std::vector<at::Tensor> views;
  int64_t parameter = 0;
  int64_t statistic = 0;
  for (const TensorSpec& spec : specs) {
    int64_t& offset = spec.trainable ? parameter : statistic;
    const at::Tensor& flat = spec.trainable ? parameters : statistics;
    views.push_back(flat.narrow(0, offset, spec.size()).view(spec.shape));
    offset += spec.size();
  }
  return views;
}

// Adam as Keras writes it (epsilon beside the uncorrected root of the second moment).
struct AdamStep {
  float rate;
  float beta1;
  float beta2;
  float epsilon;

  AdamStep(const TrainingOptions& options, int64_t step)
      : beta1(static_cast<float>(options.adam_beta1)),
        beta2(static_cast<float>(options.adam_beta2)),
        epsilon(static_cast<float>(options.adam_epsilon)) {
    const auto time = static_cast<double>(step + 1);
    rate = static_cast<float>(options.learning_rate *
                              std::sqrt(1 - std::pow(options.adam_beta2, time)) /
                              (1 - std::pow(options.adam_beta1, time)));
  }

  void Apply(const float* gradient, float* first, float* second, float* parameter,
             int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      const float g = gradient[i];
      first[i] = beta1 * first[i] + (1 - beta1) * g;
      second[i] = beta2 * second[i] + (1 - beta2) * g * g;
      parameter[i] -= rate * first[i] / (std::sqrt(second[i]) + epsilon);
    }
  }
};

std::vector<float> CopyOf(const at::Tensor& flat) {
  const float* values = flat.data_ptr<float>();
  return {values, values + flat.numel()};
}

}  // namespace

class TrainingEngine::Impl {
 public:
  Impl(const TrainingOptions& options, const LabeledImages& images, const TrainedModel& model)
      : options_(options),
        images_(images),
        specs_(TensorSpecsOf(options.architecture)),
        team_(options.threads, UseOneTorchThread) {
    UseOneTorchThread();
    const int64_t trainable = options.architecture.TrainableParameterCount();
    const int64_t statistics = options.architecture.ParameterCount() - trainable;
    parameters_ = at::zeros({trainable});
    statistics_ = at::zeros({statistics});
    first_moment_ = at::zeros({trainable});
    second_moment_ = at::zeros({trainable});
    views_ = ViewsOn(specs_, parameters_, statistics_);
    const std::vector<at::Tensor> start = TensorsOf(model);
    for (size_t i = 0; i < views_.size(); ++i) views_[i].copy_(start[i]);
    for (int64_t i = 0; i < options.shards; ++i) replicas_.push_back(MakeReplica());
  }

  StepResult Step(absl::Span<const int32_t> indices, int64_t step) {
    const auto images = static_cast<int64_t>(indices.size());
    // The last batch of an epoch may have fewer images than there are shards.
    const int64_t shards = std::min<int64_t>(options_.shards, images);
    team_.Run(shards, [&](int64_t shard) {
      const int64_t begin = images * shard / shards;
      const int64_t end = images * (shard + 1) / shards;
      RunShard(shard, indices.subspan(begin, end - begin), images, step);
    });
    StepResult result;
    for (int64_t i = 0; i < shards; ++i) {
      result.loss_sum += replicas_[i].result.loss_sum;
      result.correct += replicas_[i].result.correct;
    }
    CombineStatistics(shards);
    UpdateParameters(shards, step);
    return result;
  }

  const TrainingOptions options_;
  const LabeledImages& images_;
  const std::vector<TensorSpec> specs_;
  ThreadTeam team_;
  at::Tensor parameters_;
  at::Tensor statistics_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  // Of parameters_ and statistics_, in the order of specs_.
  std::vector<at::Tensor> views_;

 private:
  // What a shard has for itself: gradients and running statistics. Its weights are the engine's.
  struct Replica {
    at::Tensor gradients;
    at::Tensor statistics;
    std::vector<at::Tensor> tensors;
    StepResult result;
  };

  Replica MakeReplica() const {
    Replica replica;
    replica.gradients = at::zeros_like(parameters_);
    replica.statistics = at::zeros_like(statistics_);
    replica.tensors = ViewsOn(specs_, parameters_, replica.statistics);
    const std::vector<at::Tensor> gradients =
        ViewsOn(specs_, replica.gradients, replica.statistics);
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (!specs_[i].trainable) continue;
      replica.tensors[i] = replica.tensors[i].detach().set_requires_grad(true);
      replica.tensors[i].mutable_grad() = gradients[i];
    }
    return replica;
  }

  void RunShard(int64_t shard, absl::Span<const int32_t> indices, int64_t batch, int64_t step) {
    Replica& replica = replicas_[shard];
    replica.gradients.zero_();
    replica.statistics.copy_(statistics_);
    RandomStream dropout(options_.seed, RandomPurpose::kDropout, static_cast<uint64_t>(step),
                         static_cast<uint64_t>(shard));
    const at::Tensor labels = GatherLabels(images_, indices);
    const at::Tensor logits =
        TrainingLogits(options_.architecture, replica.tensors,
                       GatherImages(options_.architecture, images_, indices),
                       {dropout, options_.precision, options_.batch_norm_momentum});
    const at::Tensor loss =
        at::nll_loss(at::log_softmax(logits, 1), labels, {}, at::Reduction::Sum);
    (loss / static_cast<double>(batch)).backward();
    replica.result.loss_sum = loss.item<float>();
    replica.result.correct = logits.detach().argmax(1).eq(labels).sum().item<int64_t>();
  }

  // Running statistics become the mean of what the shards made of them.
  void CombineStatistics(int64_t shards) {
    statistics_.copy_(replicas_[0].statistics);
    for (int64_t i = 1; i < shards; ++i) statistics_.add_(replicas_[i].statistics);
    if (shards > 1) statistics_.div_(shards);
  }

  void UpdateParameters(int64_t shards, int64_t step) {
    const AdamStep adam(options_, step);
    const int64_t count = parameters_.numel();
    team_.Run((count + kAdamChunk - 1) / kAdamChunk, [&](int64_t chunk) {
      const int64_t begin = chunk * kAdamChunk;
      const int64_t size = std::min(kAdamChunk, count - begin);
      float* sum = replicas_[0].gradients.data_ptr<float>() + begin;
      for (int64_t shard = 1; shard < shards; ++shard) {
        const float* more = replicas_[shard].gradients.data_ptr<float>() + begin;
        for (int64_t i = 0; i < size; ++i) sum[i] += more[i];
      }
      adam.Apply(sum, first_moment_.data_ptr<float>() + begin,
                 second_moment_.data_ptr<float>() + begin, parameters_.data_ptr<float>() + begin,
                 size);
    });
  }

  std::vector<Replica> replicas_;
};

TrainingEngine::TrainingEngine(const TrainingOptions& options, const LabeledImages& images,
                               const TrainedModel& model)
    : impl_(std::make_unique<Impl>(options, images, model)) {}

TrainingEngine::~TrainingEngine() = default;

TrainingEngine::StepResult TrainingEngine::Step(absl::Span<const int32_t> indices, int64_t step) {
  return impl_->Step(indices, step);
}

std::vector<NamedTensor> TrainingEngine::Weights() const {
  std::vector<NamedTensor> weights;
  for (size_t i = 0; i < impl_->specs_.size(); ++i) {
    const TensorSpec& spec = impl_->specs_[i];
    weights.push_back({spec.name, spec.shape, CopyOf(impl_->views_[i])});
  }
  return weights;
}

std::vector<float> TrainingEngine::FirstMoment() const { return CopyOf(impl_->first_moment_); }

std::vector<float> TrainingEngine::SecondMoment() const { return CopyOf(impl_->second_moment_); }

void TrainingEngine::SetMoments(absl::Span<const float> first, absl::Span<const float> second) {
  std::copy(first.begin(), first.end(), impl_->first_moment_.data_ptr<float>());
  std::copy(second.begin(), second.end(), impl_->second_moment_.data_ptr<float>());
}

ThreadTeam& TrainingEngine::team() { return impl_->team_; }

}  // namespace atelier::models
