#include "models/training/training_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "models/base/compute_thread.h"
#include "models/base/float_buffer.h"
#include "models/base/random.h"
#include "models/kernels/layer_kernels.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/packed_shard.h"
#include "models/torch/torch_shard.h"

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
  Impl(const TrainingOptions& options, const LabeledImages& images, const TrainedModel& model,
       Backend backend)
      : options_(options),
        specs_(TensorSpecsOf(options.architecture)),
        team_(options.threads, UseOneTorchThread) {
    UseOneTorchThread();
    if (backend == Backend::kAutomatic && options.precision == Precision::kFloat32 &&
        options.device == Device::kCpu) {
      layout_.emplace(options.architecture);
    }
    const int64_t trainable = options.architecture.TrainableParameterCount();
    const int64_t size = layout_ ? layout_->parameters() : PadToPanel(trainable);
    for (FloatBuffer* buffer : {&parameters_, &first_moment_, &second_moment_}) {
      *buffer = FloatBuffer(size);
    }
    statistics_.resize(static_cast<size_t>(options.architecture.ParameterCount() - trainable));
    SetWeights(model, parameters_, statistics_);
    if (averages()) average_ = FloatBuffer(size);
    SetAverage(model);
    if (layout_) derived_ = FloatBuffer(layout_->derived());
    DeriveWeights();
    const int64_t images_a_shard = (options.batch_size + options.shards - 1) / options.shards;
    for (int64_t i = 0; i < options.shards; ++i) {
      if (layout_) {
        shards_.push_back(std::make_unique<PackedShard>(
            options_, *layout_, images, parameters_.data(), derived_.data(), images_a_shard));
      } else {
        shards_.push_back(MakeTorchShard(options_, images, parameters_.data()));
      }
    }
    results_.resize(shards_.size());
  }

  PassResult Step(absl::Span<const int32_t> indices, int64_t step, double learning_rate) {
    const auto images = static_cast<int64_t>(indices.size());
    // The last batch of an epoch may have fewer images than there are shards.
    const int64_t shards = std::min<int64_t>(options_.shards, images);
    team_.Run(shards, [&](int64_t shard) {
      const int64_t begin = images * shard / shards;
      const int64_t end = images * (shard + 1) / shards;
      ShardNetwork& network = *shards_[static_cast<size_t>(shard)];
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
    DeriveWeights();
    profile_.Lap(StepPart::kOptimizer);
    return sum;
  }

  bool averages() const { return options_.average_decay > 0; }
  std::vector<NamedTensor> Weights() const { return Tensors(parameters_, statistics_); }
  std::vector<NamedTensor> AveragedWeights() const {
    return averages() ? Tensors(average_, average_statistics_) : Weights();
  }
  void SetAverage(const TrainedModel& model) {
    if (averages()) SetWeights(model, average_, average_statistics_);
  }
  // A buffer's numbers in the order of TensorSpecsOf, and the way back.
  std::vector<float> InOrder(const FloatBuffer& buffer) const {
    std::vector<float> values(static_cast<size_t>(options_.architecture.TrainableParameterCount()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = buffer.data()[Position(i)];
    return values;
  }
  void SetInOrder(absl::Span<const float> values, const FloatBuffer& buffer) const {
    for (size_t i = 0; i < values.size(); ++i) buffer.data()[Position(i)] = values[i];
  }

  StepProfile Profile() const {
    StepProfile sum = profile_;
    for (const auto& shard : shards_) sum.Add(shard->profile());
    return sum;
  }

  FloatBuffer first_moment_;
  FloatBuffer second_moment_;

 private:
  size_t Position(size_t i) const {
    return layout_ ? static_cast<size_t>(layout_->positions()[i]) : i;
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
    const double share = options_.StatisticsShareAt(time, images);
    for (size_t i = 0; i < statistics_.size(); ++i) {
      double sum = 0;
      for (int64_t shard = 0; shard < shards; ++shard) {
        const int64_t part = images * (shard + 1) / shards - images * shard / shards;
        sum += static_cast<double>(part) *
               static_cast<double>(shards_[static_cast<size_t>(shard)]->statistics()[i]);
      }
      const auto now = static_cast<double>(statistics_[i]);
      statistics_[i] = static_cast<float>(now + share * (sum / static_cast<double>(images) - now));
    }
  }

  // The average moves by a share of the way.
  void UpdateParameters(int64_t shards, const AdamRule& rule, float move) {
    std::vector<const float*> gradients;
    for (int64_t i = 0; i < shards; ++i) {
      gradients.push_back(shards_[static_cast<size_t>(i)]->gradients());
    }
    const int64_t count = parameters_.size();
    team_.Run((count + kAdamChunk - 1) / kAdamChunk, [&](int64_t chunk) {
      const int64_t begin = chunk * kAdamChunk;
      const int64_t size = std::min(kAdamChunk, count - begin);
      UpdateByAdam(rule, gradients, begin, size, first_moment_.data(), second_moment_.data(),
                   parameters_.data());
      if (!averages()) return;
      Approach(parameters_.data() + begin, static_cast<size_t>(size), move,
               average_.data() + begin);
    });
  }

  void DeriveWeights() {
    if (!layout_) return;
    team_.Run(layout_->derive_pieces(),
              [&](int64_t piece) { layout_->Derive(piece, parameters_.data(), derived_.data()); });
  }

  const TrainingOptions options_;
  const std::vector<TensorSpec> specs_;
  ThreadTeam team_;
  // Of our own kernels; empty for LibTorch, whose numbers are in the order of TensorSpecsOf.
  std::optional<PackedLayout> layout_;
  FloatBuffer parameters_;
  FloatBuffer derived_;
  std::vector<float> statistics_;
  // Of both, moving; empty without averaging.
  FloatBuffer average_;
  std::vector<float> average_statistics_;
  std::vector<std::unique_ptr<ShardNetwork>> shards_;
  std::vector<PassResult> results_;
  StepProfile profile_;

  friend class TrainingEngine;
};

TrainingEngine::TrainingEngine(const TrainingOptions& options, const LabeledImages& images,
                               const TrainedModel& model, Backend backend)
    : impl_(std::make_unique<Impl>(options, images, model, backend)) {}

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

ThreadTeam& TrainingEngine::team() { return impl_->team_; }

StepProfile TrainingEngine::profile() const { return impl_->Profile(); }

}  // namespace atelier::models
