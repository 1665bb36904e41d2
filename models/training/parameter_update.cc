#include "models/training/parameter_update.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/network/trained_model.h"

namespace atelier::models {
namespace {

// Parameters that one piece of the work covers.
constexpr int64_t kPiece = int64_t{1} << 14;

// Added to the norm of gradients that are clipped; PyTorch's.
constexpr double kNormEpsilon = 1e-6;

// Of Adam's steps, the usual root of their mean square.
constexpr double kAdamStep = 0.2;

// Whether weight decay takes a share off the parameters rather than adding to their gradients.
bool IsDecoupled(Optimizer optimizer) {
  return optimizer == Optimizer::kAdamW || optimizer == Optimizer::kMuon;
}

// At a time that counts from 1.
AdamRule AdamAt(const TrainingOptions& options, double learning_rate, int64_t time) {
  const auto t = static_cast<double>(time);
  AdamRule rule;
  rule.rate = static_cast<float>(learning_rate * std::sqrt(1 - std::pow(options.adam_beta2, t)) /
                                 (1 - std::pow(options.adam_beta1, t)));
  rule.beta1 = static_cast<float>(options.adam_beta1);
  rule.beta2 = static_cast<float>(options.adam_beta2);
  rule.epsilon = static_cast<float>(options.adam_epsilon);
  if (IsDecoupled(options.optimizer)) {
    rule.keep = static_cast<float>(1 - learning_rate * options.weight_decay);
  } else {
    rule.decay = static_cast<float>(options.weight_decay);
  }
  return rule;
}

SgdRule SgdAt(const TrainingOptions& options, double learning_rate) {
  return {static_cast<float>(learning_rate), static_cast<float>(options.momentum), options.nesterov,
          static_cast<float>(options.weight_decay)};
}

RmspropRule RmspropAt(const TrainingOptions& options, double learning_rate) {
  return {static_cast<float>(learning_rate), static_cast<float>(options.adam_beta2),
          static_cast<float>(options.adam_epsilon), static_cast<float>(options.momentum),
          static_cast<float>(options.weight_decay)};
}

}  // namespace

ParameterUpdate::ParameterUpdate(const TrainingOptions& options, const TrainingNetwork& network,
                                 ThreadTeam& team)
    : options_(options), network_(network), team_(team) {
  const int64_t size = network.parameters().size();
  if (options.freeze > 0) FindFrozen();
  for (int64_t i = 0; i < options.OptimizerVectors(); ++i) state_.emplace_back(size);
  if (options.optimizer == Optimizer::kMuon) {
    AddMatrices();
    matrix_change_ = FloatBuffer(size);
  }
  const bool changes_gradients = options.max_gradient_norm > 0 || !options.class_weights.empty();
  if (changes_gradients || !matrices_.empty()) gradient_ = FloatBuffer(size);
}

void ParameterUpdate::FindFrozen() {
  const std::vector<TensorSpec> specs = TensorSpecsOf(options_.architecture);
  const std::vector<bool> tensors = FrozenTensors(options_.architecture, options_.freeze);
  frozen_.resize(static_cast<size_t>(network_.parameters().size()));
  size_t number = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].trainable) continue;
    for (int64_t left = specs[i].size(); left > 0; --left) {
      frozen_[network_.Position(number++)] = tensors[i];
    }
  }
}

void ParameterUpdate::AddMatrices() {
  const std::vector<TensorSpec> specs = TensorSpecsOf(options_.architecture);
  const std::vector<bool> frozen = FrozenTensors(options_.architecture, options_.freeze);
  const std::vector<size_t> hidden = HiddenMatrices(options_.architecture);
  size_t first = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!frozen[i] && std::find(hidden.begin(), hidden.end(), i) != hidden.end()) {
      const int64_t rows = specs[i].shape[0];
      const int64_t columns = specs[i].size() / rows;
      matrices_.push_back({first, rows, columns, NewtonSchulz(rows, columns)});
    }
    if (specs[i].trainable) first += static_cast<size_t>(specs[i].size());
  }
}

float* ParameterUpdate::velocity() const {
  return options_.momentum > 0 ? state_.back().data() : nullptr;
}

void ParameterUpdate::ForEachPiece(absl::FunctionRef<void(int64_t, int64_t)> piece) {
  const int64_t count = network_.parameters().size();
  team_.Run((count + kPiece - 1) / kPiece,
            [&](int64_t i) { piece(i * kPiece, std::min(kPiece, count - i * kPiece)); });
}

void ParameterUpdate::Step(ShardGradients gradients, double scale, int64_t time,
                           double learning_rate,
                           absl::FunctionRef<void(int64_t, int64_t)> changed) {
  const float* const sum = gradient_.data();
  if (sum != nullptr) {
    SumAndClip(gradients, scale);
    gradients = absl::MakeConstSpan(&sum, 1);
  }
  if (!matrices_.empty()) StepMatrices(learning_rate);
  ForEachPiece([&](int64_t begin, int64_t count) {
    UpdateTrained(gradients, time, learning_rate, begin, count);
    changed(begin, count);
  });
}

void ParameterUpdate::SumAndClip(ShardGradients gradients, double scale) {
  std::vector<double> squares(static_cast<size_t>(gradient_.size() / kPiece + 1));
  ForEachPiece([&](int64_t begin, int64_t count) {
    squares[static_cast<size_t>(begin / kPiece)] =
        SumGradients(gradients, begin, count, gradient_.data());
  });
  if (options_.max_gradient_norm > 0) {
    double sum = 0;
    for (const double part : squares) sum += part;
    const double norm = scale * std::sqrt(sum);
    scale *= std::min(1.0, options_.max_gradient_norm / (norm + kNormEpsilon));
  }
  if (scale == 1) return;
  const auto factor = static_cast<float>(scale);
  ForEachPiece([&](int64_t begin, int64_t count) {
    for (int64_t i = begin; i < begin + count; ++i) gradient_.data()[i] *= factor;
  });
}

void ParameterUpdate::StepMatrices(double learning_rate) {
  for (Matrix& matrix : matrices_) StepMatrix(matrix, learning_rate);
}

void ParameterUpdate::StepMatrix(Matrix& matrix, double learning_rate) {
  const auto momentum = static_cast<float>(options_.momentum);
  const auto for_each = [&](const auto& use) {
    team_.Run(matrix.rows, [&](int64_t row) {
      for (int64_t column = 0; column < matrix.columns; ++column) {
        const auto number = static_cast<size_t>(row * matrix.columns + column);
        use(network_.Position(matrix.first + number), matrix.orthogonal.at(row, column));
      }
    });
  };
  for_each([&](size_t at, float& element) {
    const float gradient = std::exchange(gradient_.data()[at], 0.0F);
    float& velocity = state_.back().data()[at];
    velocity = momentum * velocity + gradient;
    element = options_.nesterov ? gradient + momentum * velocity : velocity;
  });
  matrix.orthogonal.Run(team_);
  const auto longer = static_cast<double>(std::max(matrix.rows, matrix.columns));
  const auto rate = static_cast<float>(learning_rate * kAdamStep * std::sqrt(longer));
  for_each([&](size_t at, float& element) { matrix_change_.data()[at] = rate * element; });
}

void ParameterUpdate::UpdateTrained(ShardGradients gradients, int64_t time, double learning_rate,
                                    int64_t begin, int64_t count) {
  if (frozen_.empty()) return Update(gradients, time, learning_rate, begin, count);
  // The rules change whole vectors of numbers, and weight decay needs no gradient.
  const std::vector<float> before(parameters() + begin, parameters() + begin + count);
  Update(gradients, time, learning_rate, begin, count);
  for (int64_t i = begin; i < begin + count; ++i) {
    if (!frozen_[static_cast<size_t>(i)]) continue;
    parameters()[i] = before[static_cast<size_t>(i - begin)];
    for (const FloatBuffer& buffer : state_) buffer.data()[i] = 0;
  }
}

void ParameterUpdate::Update(ShardGradients gradients, int64_t time, double learning_rate,
                             int64_t begin, int64_t count) {
  switch (options_.optimizer) {
    case Optimizer::kAdamW:
    case Optimizer::kAdam:
    case Optimizer::kMuon:
      UpdateByAdam(AdamAt(options_, learning_rate, time), gradients, begin, count, state_[0].data(),
                   state_[1].data(), parameters());
      break;
    case Optimizer::kSgd:
      UpdateBySgd(SgdAt(options_, learning_rate), gradients, begin, count, velocity(),
                  parameters());
      break;
    case Optimizer::kRmsprop:
      UpdateByRmsprop(RmspropAt(options_, learning_rate), gradients, begin, count, state_[0].data(),
                      velocity(), parameters());
      break;
  }
  if (matrices_.empty()) return;
  for (int64_t i = begin; i < begin + count; ++i) parameters()[i] -= matrix_change_.data()[i];
}

}  // namespace atelier::models
