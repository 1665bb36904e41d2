#include "models/network/trained_model.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/random.h"

namespace atelier::models {
namespace {

using Start = TensorSpec::Start;

// Glorot and Bengio (2010), as Keras does it: uniform within ±sqrt(6 / (fan_in + fan_out)), where a
// kernel's area counts in both.
void FillGlorot(const TensorSpec& spec, RandomStream& random, std::vector<float>& values) {
  int64_t area = 1;
  for (size_t i = 2; i < spec.shape.size(); ++i) area *= spec.shape[i];
  const auto fans = static_cast<float>(area * (spec.shape[0] / spec.groups + spec.shape[1]));
  const float limit = std::sqrt(6.0F / fans);
  for (float& value : values) value = limit * (2 * random.NextFloat() - 1);
}

}  // namespace

std::vector<TensorSpec> TensorSpecsOf(const Architecture& architecture) {
  std::vector<TensorSpec> specs;
  ForEachLayer(PlanOf(architecture).layers, [&specs](const LayerPlan& layer) {
    specs.insert(specs.end(), layer.tensors.begin(), layer.tensors.end());
  });
  return specs;
}

TrainedModel TrainedModel::Initial(const Architecture& architecture, uint64_t seed) {
  TrainedModel model{architecture, {}};
  const std::vector<TensorSpec> specs = TensorSpecsOf(architecture);
  for (size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    std::vector<float> values(static_cast<size_t>(spec.size()),
                              spec.start == Start::kOnes ? 1.0F : 0.0F);
    if (spec.start == Start::kGlorotUniform) {
      RandomStream random(seed, RandomPurpose::kWeights, i);
      FillGlorot(spec, random, values);
    }
    model.tensors.push_back({spec.name, spec.shape, std::move(values)});
  }
  return model;
}

const NamedTensor* TrainedModel::Find(absl::string_view name) const {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

absl::Status TrainedModel::Validate() const {
  if (absl::Status status = architecture.Validate(); !status.ok()) return status;
  const std::vector<TensorSpec> specs = TensorSpecsOf(architecture);
  if (tensors.size() != specs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model has ", tensors.size(), " tensors; its architecture has ", specs.size()));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const NamedTensor& tensor = tensors[i];
    if (tensor.name == specs[i].name && tensor.shape == specs[i].shape &&
        static_cast<int64_t>(tensor.values.size()) == specs[i].size()) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", i, " of the model is ", tensor.name, " of ", absl::StrJoin(tensor.shape, "x"),
        " with ", tensor.values.size(), " values; its architecture has ", specs[i].name, " of ",
        absl::StrJoin(specs[i].shape, "x")));
  }
  return absl::OkStatus();
}

}  // namespace atelier::models
