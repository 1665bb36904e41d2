#include "models/training/training_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "models/base/compute_thread.h"
#include "models/base/float_buffer.h"
#include "models/base/random.h"
#include "models/compute/training_network.h"
#include "models/kernels/layer_kernels.h"

namespace atelier::models {
namespace {

// Parameters that one piece of the optimiser's work covers.
constexpr int64_t kAdamChunk = int64_t{1} << 14;

// Adam as Keras writes it, with AdamW's decay, at a time that counts from 1.
AdamRule AdamAt(const TrainingOptions& options, double learning_rate, int64_t time) {
  const auto t = static_cast<double>(time);
  AdamRule rule;
  rule.rate = static_cast<float>(learning_rate * std::sqrt(1 - std::pow(options.adam_beta2, t)) /
                                 (1 - std::pow(options.adam_beta1, t)));
  rule.beta1 = static_cast<float>(options.adam_beta1);
  rule.beta2 = static_cast<float>(options.adam_beta2);
  rule.epsilon = static_cast<float>(options.adam_epsilon);
  rule.keep = static_cast<float>(1 - learning_rate * options.weight_decay);
  return rule;
}

// Steps by which the average's memory lags behind the steps there were.
constexpr double kAverageWarmup = 9;

// Moves `values` by a share of the way to `targets`.
void Approach(const float* targets, size_t count, float share, float* values) {
  for (size_t i = 0; i < count; ++i) values[i] += share * (targets[i] - values[i]);
}

}  // namespace

class TrainingEngine::Impl {
 public:
  Impl(const TrainingOptions& options, const LabeledImages& images, const TrainedModel& model)
      : options_(options),
        specs_(TensorSpecsOf(options.architecture)),
        team_(options.threads, UseOneTorchThread),
        results_(static_cast<size_t>(options.shards)) {
    UseOneTorchThread();
    network_ = TrainingNetwork::Create(options_, images);
    first_moment_ = FloatBuffer(parameters().size());
    second_moment_ = FloatBuffer(parameters().size());
    SetWeights(model, parameters(), statistics_);
    for (const TensorSpec& spec : specs_) {
      if (spec.trainable) continue;
      momenta_.insert(momenta_.end(), static_cast<size_t>(spec.size()),
                      spec.momentum.value_or(options_.batch_norm_momentum));
    }
    if (averages()) average_ = FloatBuffer(parameters().size());
    SetAverage(model);
    network_->Update(team_);
  }

  PassResult Step(absl::Span<const int32_t> indices, int64_t step, double learning_rate) {
    const auto images = static_cast<int64_t>(indices.size());
    // The last batch of an epoch may have fewer images than there are shards.
    const int64_t shards = std::min<int64_t>(options_.shards, images);
    team_.Run(shards, [&](int64_t shard) {
      const int64_t begin = images * shard / shards;
      const int64_t end = images * (shard + 1) / shards;
      ShardNetwork& network = network_->shard(shard);
      std::copy(statistics_.begin(), statistics_.end(), network.statistics().begin());
      RandomStream random(options_.seed, RandomPurpose::kStep, static_cast<uint64_t>(step),
                          static_cast<uint64_t>(shard));
      results_[static_cast<size_t>(shard)] =
          network.Run(indices.subspan(begin, end - begin), images, random);
    });
    profile_.Start();
    PassResult sum;
    for (int64_t i = 0; i < shards; ++i) {
      sum.loss_sum += results_[static_cast<size_t>(i)].loss_sum;
      sum.correct += results_[static_cast<size_t>(i)].correct;
    }
    MoveStatistics(shards, images, step + 1);
    const auto time = static_cast<double>(step + 1);
    const auto move =
        static_cast<float>(1 - std::min(options_.average_decay, time / (time + kAverageWarmup)));
    UpdateParameters(shards, AdamAt(options_, learning_rate, step + 1), move);
    if (averages())
      Approach(statistics_.data(), statistics_.size(), move, average_statistics_.data());
    network_->Update(team_);
    profile_.Lap(StepPart::kOptimizer);
    return sum;
  }

  bool averages() const { return options_.average_decay > 0; }
  std::vector<NamedTensor> Weights() const { return Tensors(parameters(), statistics_); }
  std::vector<NamedTensor> AveragedWeights() const {
    return averages() ? Tensors(average_, average_statistics_) : Weights();
  }
  void SetAverage(const TrainedModel& model) {
    if (averages()) SetWeights(model, average_, average_statistics_);
  }
  // A buffer's numbers in the order of TensorSpecsOf, and the way back.
  std::vector<float> InOrder(const FloatBuffer& buffer) const {
    std::vector<float> values(static_cast<size_t>(options_.architecture.TrainableParameterCount()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = buffer.data()[network_->Position(i)];
    return values;
  }
  void SetInOrder(absl::Span<const float> values, const FloatBuffer& buffer) const {
    for (size_t i = 0; i < values.size(); ++i) buffer.data()[network_->Position(i)] = values[i];
  }

  StepProfile Profile() const {
    StepProfile sum = profile_;
    sum.Add(network_->profile());
    return sum;
  }

  FloatBuffer first_moment_;
  FloatBuffer second_moment_;

 private:
  const FloatBuffer& parameters() const { return network_->parameters(); }

  void SetWeights(const TrainedModel& model, const FloatBuffer& parameters,
                  std::vector<float>& statistics) const {
    std::vector<float> trainable;
    statistics.clear();
    for (size_t i = 0; i < specs_.size(); ++i) {
      std::vector<float>& to = specs_[i].trainable ? trainable : statistics;
      to.insert(to.end(), model.tensors[i].values.begin(), model.tensors[i].values.end());
    }
    SetInOrder(trainable, parameters);
  }

  std::vector<NamedTensor> Tensors(const FloatBuffer& parameters,
                                   const std::vector<float>& statistics) const {
    const std::vector<float> trainable = InOrder(parameters);
    const float* next_trainable = trainable.data();
    const float* next_statistic = statistics.data();
    std::vector<NamedTensor> weights;
    for (const TensorSpec& spec : specs_) {
      const float*& next = spec.trainable ? next_trainable : next_statistic;
      weights.push_back({spec.name, spec.shape, {next, next + spec.size()}});
      next += spec.size();
    }
    return weights;
  }

  // Running statistics move towards the batch's, the shards' by their numbers of images.
  void MoveStatistics(int64_t shards, int64_t images, int64_t time) {
    for (size_t i = 0; i < statistics_.size(); ++i) {
      double sum = 0;
      for (int64_t shard = 0; shard < shards; ++shard) {
        const int64_t part = images * (shard + 1) / shards - images * shard / shards;
        sum +=
            static_cast<double>(part) * static_cast<double>(network_->shard(shard).statistics()[i]);
      }
      const double share = options_.StatisticsShareAt(time, images, momenta_[i]);
      const auto now = static_cast<double>(statistics_[i]);
      statistics_[i] = static_cast<float>(now + share * (sum / static_cast<double>(images) - now));
    }
  }

  // The average moves by a share of the way.
  void UpdateParameters(int64_t shards, const AdamRule& rule, float move) {
    std::vector<const float*> gradients;
    for (int64_t i = 0; i < shards; ++i) {
      gradients.push_back(network_->shard(i).gradients());
    }
    const int64_t count = parameters().size();
    team_.Run((count + kAdamChunk - 1) / kAdamChunk, [&](int64_t chunk) {
      const int64_t begin = chunk * kAdamChunk;
      const int64_t size = std::min(kAdamChunk, count - begin);
      UpdateByAdam(rule, gradients, begin, size, first_moment_.data(), second_moment_.data(),
                   parameters().data());
      if (!averages()) return;
      Approach(parameters().data() + begin, static_cast<size_t>(size), move,
               average_.data() + begin);
    });
  }

  const TrainingOptions options_;
  const std::vector<TensorSpec> specs_;
  ThreadTeam team_;
  std::unique_ptr<TrainingNetwork> network_;
  std::vector<float> statistics_;
  // Of each of them.
  std::vector<double> momenta_;
  // Of both, moving; empty without averaging.
  FloatBuffer average_;
  std::vector<float> average_statistics_;
  std::vector<PassResult> results_;
  StepProfile profile_;

  friend class TrainingEngine;
};

TrainingEngine::TrainingEngine(const TrainingOptions& options, const LabeledImages& images,
                               const TrainedModel& model)
    : impl_(std::make_unique<Impl>(options, images, model)) {}

TrainingEngine::~TrainingEngine() = default;

PassResult TrainingEngine::Step(absl::Span<const int32_t> indices, int64_t step,
                                double learning_rate) {
  return impl_->Step(indices, step, learning_rate);
}

std::vector<NamedTensor> TrainingEngine::Weights() const { return impl_->Weights(); }

std::vector<NamedTensor> TrainingEngine::AveragedWeights() const {
  return impl_->AveragedWeights();
}

void TrainingEngine::SetAverage(const TrainedModel& model) { impl_->SetAverage(model); }

std::vector<float> TrainingEngine::FirstMoment() const {
  return impl_->InOrder(impl_->first_moment_);
}

std::vector<float> TrainingEngine::SecondMoment() const {
  return impl_->InOrder(impl_->second_moment_);
}

void TrainingEngine::SetMoments(absl::Span<const float> first, absl::Span<const float> second) {
  impl_->SetInOrder(first, impl_->first_moment_);
  impl_->SetInOrder(second, impl_->second_moment_);
}

ComputePath TrainingEngine::path() const { return impl_->network_->path(); }

ThreadTeam& TrainingEngine::team() { return impl_->team_; }

StepProfile TrainingEngine::profile() const { return impl_->Profile(); }

}  // namespace atelier::models
