#include "server/wiring/network_builder.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "models/kernels/fastest_precision.h"
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"
#include "models/network/presets.h"
#include "models/network/training_options.h"
#include "server/jobs/job_kind.h"

namespace atelier::wiring {
namespace {

constexpr int kMaxListed = 64;

bool HasShapeFields(const v1::TrainingSpec& spec) {
  return !spec.conv().empty() || spec.has_kernel() || !spec.pool().empty() ||
         spec.pooling() != v1::POOLING_KIND_UNSPECIFIED ||
         spec.activation() != v1::ACTIVATION_UNSPECIFIED || spec.has_batch_norm() ||
         !spec.dense().empty() || spec.has_residual();
}

// Shapes a network by a specification's fields, collecting what is wrong.
class Shaper {
 public:
  explicit Shaper(const v1::TrainingSpec& spec) : spec_(spec) {
    if (const models::Preset* preset = models::FindPreset(spec.preset())) {
      shape_ = preset->network;
    } else {
      shape_.dense_layers = {128};
    }
  }

  models::BlockNetwork Run() {
    ShapeConvolutions();
    ShapePooling();
    ShapeFunctions();
    ShapeDense();
    ShapeResidual();
    return shape_;
  }

  std::vector<jobs::FieldViolation> wrong() && { return std::move(wrong_); }

 private:
  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({absl::StrCat("spec.", field), std::move(description)});
  }

  void CheckRange(absl::string_view field, absl::string_view words, std::int64_t value,
                  std::int64_t low, std::int64_t high) {
    if (value >= low && value <= high) return;
    Wrong(field, absl::StrCat(words, " is ", value, "; it must be ", low, " to ", high, "."));
  }

  template <typename List>
  void CheckLength(absl::string_view field, absl::string_view words, const List& list) {
    if (list.size() <= kMaxListed) return;
    Wrong(field, absl::StrCat("There are ", list.size(), " ", words, "; at most ", kMaxListed,
                              " are possible."));
  }

  void RequireConvolutions(absl::string_view field) {
    if (!shape_.blocks.empty()) return;
    Wrong(field, absl::StrCat("The network has no convolutions for ", field,
                              " to change; choose a preset that has, or give conv."));
  }

  void ShapeConvolutions() {
    if (!spec_.conv().empty()) {
      CheckLength("conv", "convolutions", spec_.conv());
      shape_.blocks.clear();
      shape_.average_features = false;
      for (const int filters : spec_.conv()) {
        CheckRange("conv", "The number of filters", filters, 1, models::kMaxLayerWidth);
        shape_.blocks.push_back({filters, 2});
      }
    }
    if (!spec_.has_kernel()) return;
    RequireConvolutions("kernel");
    CheckRange("kernel", "The kernel", spec_.kernel(), 1, models::kMaxKernel);
    shape_.kernel = spec_.kernel();
  }

  void ShapePooling() {
    const auto pools = static_cast<std::size_t>(spec_.pool_size());
    for (const int pool : spec_.pool())
      CheckRange("pool", "The pooling", pool, 0, models::kMaxPooling);
    if (pools > 0) RequireConvolutions("pool");
    if (pools > 1 && pools != shape_.blocks.size()) {
      Wrong("pool", absl::StrCat("There are ", pools, " poolings for ", shape_.blocks.size(),
                                 " convolutions; give one for all, or one each."));
      return;
    }
    for (std::size_t i = 0; pools > 0 && i < shape_.blocks.size(); ++i) {
      shape_.blocks[i].pool = spec_.pool(pools == 1 ? 0 : static_cast<int>(i));
    }
    if (!v1::PoolingKind_IsValid(spec_.pooling())) {
      Wrong("pooling", absl::StrCat("There is no pooling ", static_cast<int>(spec_.pooling()),
                                    "; choose max or average."));
    }
    if (spec_.pooling() != v1::POOLING_KIND_UNSPECIFIED) RequireConvolutions("pooling");
    shape_.average_pooling = spec_.pooling() == v1::POOLING_KIND_AVERAGE;
  }

  void ShapeFunctions() {
    if (!v1::Activation_IsValid(spec_.activation())) {
      Wrong("activation",
            absl::StrCat("There is no activation ", static_cast<int>(spec_.activation()), "."));
    } else if (spec_.activation() != v1::ACTIVATION_UNSPECIFIED) {
      shape_.activation = spec_.activation();
    }
    if (!spec_.has_batch_norm()) return;
    RequireConvolutions("batch_norm");
    shape_.batch_norm = spec_.batch_norm();
  }

  void ShapeDense() {
    if (spec_.dense().empty()) return;
    CheckLength("dense", "dense layers", spec_.dense());
    shape_.dense_layers.assign(spec_.dense().begin(), spec_.dense().end());
    if (shape_.dense_layers == std::vector<std::int64_t>{0}) return shape_.dense_layers.clear();
    for (const int units : spec_.dense()) {
      CheckRange("dense", "The number of units", units, 1, models::kMaxLayerWidth);
    }
  }

  void ShapeResidual() {
    if (!spec_.has_residual()) return;
    RequireConvolutions("residual");
    const bool had = std::any_of(shape_.blocks.begin(), shape_.blocks.end(),
                                 [](const models::ConvBlock& block) { return block.skip > 0; });
    shape_.residual = spec_.residual() && !had;
    if (spec_.residual()) return;
    for (models::ConvBlock& block : shape_.blocks) block.skip = 0;
  }

  const v1::TrainingSpec& spec_;
  models::BlockNetwork shape_;
  std::vector<jobs::FieldViolation> wrong_;
};

// Numbers that the optimiser holds of each parameter at least; Muon also the sum of the gradients
// and the change of its matrices.
int OptimizerNumbers(const v1::TrainingSpec& spec) {
  const int velocity = spec.momentum() > 0 ? 1 : 0;
  switch (spec.optimizer()) {
    case v1::OPTIMIZER_SGD:
      return velocity;
    case v1::OPTIMIZER_RMSPROP:
      return 1 + velocity;
    case v1::OPTIMIZER_MUON:
      return 5;
    default:
      return 2;
  }
}

// Bytes that a node of a training holds of its parameters at least: the weights, a gradient for
// each shard, what the optimiser holds, and the best epoch's weights; of several nodes also what it
// sends to the others and is sent (models/training/gradient_exchange.h).
std::int64_t BytesOf(std::int64_t parameters, const v1::TrainingSpec& spec) {
  const int nodes = jobs::NodesOf(spec);
  const int exchanged = nodes > 1 ? 2 * ((spec.shards() + nodes - 1) / nodes) + 1 : 0;
  return parameters * 4 * (2 + spec.shards() + OptimizerNumbers(spec) + exchanged);
}

models::Architecture ArchitectureOf(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts) {
  const v1::ImageShape& shape = facts.image_shape;
  return {spec.network(),
          {shape.channels(), shape.height(), shape.width()},
          facts.class_count,
          spec.dropout()};
}

}  // namespace

std::vector<jobs::FieldViolation> BuildNetwork(v1::TrainingSpec* spec) {
  if (spec->preset().empty() && !HasShapeFields(*spec)) return {};
  Shaper shaper(*spec);
  v1::Network network = shaper.Run().ToNetwork(spec->preset());
  std::vector<jobs::FieldViolation> wrong = std::move(shaper).wrong();
  if (!wrong.empty()) return wrong;
  // Of which the preset and its changes know nothing.
  if (spec->network().has_standardization()) {
    *network.mutable_standardization() = spec->network().standardization();
  }
  if (spec->has_network() &&
      !google::protobuf::util::MessageDifferencer::Equals(spec->network(), network)) {
    return {
        {"spec.network",
         "The layers of the network are not those that the preset and its changes give; give one "
         "of the two."}};
  }
  *spec->mutable_network() = network;
  return {};
}

std::string NetworkProblem(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts) {
  const models::Architecture architecture = ArchitectureOf(spec, facts);
  if (absl::Status status = architecture.Validate(); !status.ok()) {
    return std::string(status.message());
  }
  if (spec.optimizer() == v1::OPTIMIZER_MUON) {
    std::string problem = models::MuonProblem(architecture);
    if (!problem.empty()) return problem;
  }
  const std::int64_t parameters = architecture.ParameterCount();
  const std::int64_t bytes = BytesOf(parameters, spec);
  if (!spec.has_memory_bytes() || bytes <= spec.memory_bytes()) return "";
  return absl::StrCat("training its ", parameters, " parameters takes at least ", bytes,
                      " bytes and the job's memory is ", spec.memory_bytes(),
                      "; give it more memory or the network fewer parameters");
}

v1::Precision FastestPrecision(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts) {
  const models::Device device =
      spec.device() == v1::DEVICE_CUDA ? models::Device::kCuda : models::Device::kCpu;
  const models::Precision fastest =
      models::FastestPrecision(ArchitectureOf(spec, facts), device, spec.freeze());
  return fastest == models::Precision::kBfloat16 ? v1::PRECISION_BFLOAT16 : v1::PRECISION_FLOAT32;
}

}  // namespace atelier::wiring
