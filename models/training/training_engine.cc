#include "models/training/training_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "models/base/compute_thread.h"
#include "models/base/float_buffer.h"
#include "models/base/random.h"
#include "models/compute/training_network.h"
#include "models/training/gradient_exchange.h"
#include "models/training/parameter_update.h"

namespace atelier::models {
namespace {

// Steps by which the average's memory lags behind the steps there were.
constexpr double kAverageWarmup = 9;

// In place of the momentum of running statistics that do not move.
constexpr double kFrozen = -1;

// Moves `values` by a share of the way to `targets`.
void Approach(const float* targets, size_t count, float share, float* values) {
  for (size_t i = 0; i < count; ++i) values[i] += share * (targets[i] - values[i]);
}

}  // namespace

class TrainingEngine::Impl {
 public:
  Impl(const TrainingOptions& options, const LabeledImages& images, const TrainedModel& model,
       RankGroup* ranks)
      : options_(options),
        images_(images),
        specs_(TensorSpecsOf(options.architecture)),
        team_(options.threads, FlushDenormals),
        results_(static_cast<size_t>(options.shards)) {
    FlushDenormals();
    network_ = TrainingNetwork::Create(options_, images);
    update_ = std::make_unique<ParameterUpdate>(options_, *network_, team_);
    SetWeights(model, parameters(), statistics_);
    const std::vector<bool> frozen = FrozenTensors(options_.architecture, options_.freeze);
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].trainable) continue;
      const double momentum = specs_[i].momentum.value_or(options_.batch_norm_momentum);
      momenta_.insert(momenta_.end(), static_cast<size_t>(specs_[i].size()),
                      frozen[i] ? kFrozen : momentum);
    }
    if (averages()) average_ = FloatBuffer(parameters().size());
    if (ranks != nullptr) {
      exchange_ = std::make_unique<GradientExchange>(ranks, *network_, options_.shards);
    }
    SetAverage(model);
    network_->Update(team_);
  }

  PassResult Step(absl::Span<const int32_t> indices, int64_t step, double learning_rate) {
    const auto images = static_cast<int64_t>(indices.size());
    // The last batch of an epoch may have fewer images than there are shards.
    const int64_t shards = std::min<int64_t>(options_.shards, images);
    const GradientExchange::Share share =
        exchange_ == nullptr ? GradientExchange::Share{0, shards} : exchange_->ShareOf(shards);
    team_.Run(share.end - share.begin, [&](int64_t i) {
      const int64_t shard = share.begin + i;
      const int64_t begin = images * shard / shards;
      const int64_t end = images * (shard + 1) / shards;
      ShardNetwork& network = network_->shard(shard);
      std::copy(statistics_.begin(), statistics_.end(), network.statistics().begin());
      RandomStream random(options_.seed, RandomPurpose::kStep, static_cast<uint64_t>(step),
                          static_cast<uint64_t>(shard));
      results_[static_cast<size_t>(shard)] =
          network.Run(indices.subspan(begin, end - begin), images, random);
    });
    const std::vector<const float*> gradients = Gradients(shards);
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
    update_->Step(gradients, LossScale(indices), step + 1, learning_rate,
                  [&](int64_t begin, int64_t count) {
                    if (!averages()) return;
                    Approach(parameters().data() + begin, static_cast<size_t>(count), move,
                             average_.data() + begin);
                  });
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

 private:
  const FloatBuffer& parameters() const { return network_->parameters(); }

  // Of a step whose shards have run, here or on other ranks.
  std::vector<const float*> Gradients(int64_t shards) {
    if (exchange_ != nullptr) return {exchange_->Run(shards, absl::MakeSpan(results_))};
    std::vector<const float*> gradients;
    for (int64_t i = 0; i < shards; ++i) gradients.push_back(network_->shard(i).gradients());
    return gradients;
  }

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
      if (momenta_[i] == kFrozen) continue;
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

  // From shards' gradients, of a sum of weighted losses over the number of images, to those of the
  // weighted mean; 0 if no image has a weight.
  double LossScale(absl::Span<const int32_t> indices) const {
    if (options_.class_weights.empty()) return 1;
    double weights = 0;
    for (const int32_t index : indices) {
      weights += options_.class_weights[images_.labels[static_cast<size_t>(index)]];
    }
    return weights > 0 ? static_cast<double>(indices.size()) / weights : 0;
  }

  const TrainingOptions options_;
  const LabeledImages& images_;
  const std::vector<TensorSpec> specs_;
  ThreadTeam team_;
  std::unique_ptr<TrainingNetwork> network_;
  std::unique_ptr<ParameterUpdate> update_;
  std::unique_ptr<GradientExchange> exchange_;  // Null where one process runs all shards.
  std::vector<float> statistics_;
  // Of each of them, or kFrozen.
  std::vector<double> momenta_;
  // Of both, moving; empty without averaging.
  FloatBuffer average_;
  std::vector<float> average_statistics_;
  std::vector<PassResult> results_;
  StepProfile profile_;

  friend class TrainingEngine;
};

TrainingEngine::TrainingEngine(const TrainingOptions& options, const LabeledImages& images,
                               const TrainedModel& model, RankGroup* ranks)
    : impl_(std::make_unique<Impl>(options, images, model, ranks)) {}

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

std::vector<std::vector<float>> TrainingEngine::OptimizerState() const {
  std::vector<std::vector<float>> state;
  for (const FloatBuffer& buffer : impl_->update_->state()) state.push_back(impl_->InOrder(buffer));
  return state;
}

void TrainingEngine::SetOptimizerState(absl::Span<const std::vector<float>> state) {
  for (size_t i = 0; i < state.size(); ++i) {
    impl_->SetInOrder(state[i], impl_->update_->state()[i]);
  }
}

ComputePath TrainingEngine::path() const { return impl_->network_->path(); }

ThreadTeam& TrainingEngine::team() { return impl_->team_; }

StepProfile TrainingEngine::profile() const { return impl_->Profile(); }

}  // namespace atelier::models
