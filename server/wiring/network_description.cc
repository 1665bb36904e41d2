#include "server/wiring/network_description.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/kernels/coverage.h"
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"
#include "models/network/presets.h"
#include "models/network/standardization.h"
#include "server/jobs/error.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"
#include "server/wiring/network_builder.h"
#include "server/wiring/preset_list.h"

namespace atelier::wiring {
namespace {

v1::ImageShape ToProto(const models::ImageShape& shape) {
  v1::ImageShape proto;
  proto.set_channels(static_cast<std::int32_t>(shape.channels));
  proto.set_height(static_cast<std::int32_t>(shape.height));
  proto.set_width(static_cast<std::int32_t>(shape.width));
  return proto;
}

std::int64_t ParametersOf(const models::LayerPlan& plan) {
  std::int64_t count = 0;
  for (const models::TensorSpec& tensor : plan.tensors) count += tensor.size();
  for (const models::LayerPlan& inner : plan.body) count += ParametersOf(inner);
  return count;
}

void AddLayers(const std::vector<models::LayerPlan>& plans, const models::ImageShape& input,
               int depth, v1::NetworkDescription* description) {
  for (const models::LayerPlan& plan : plans) {
    v1::LayerDescription& layer = *description->add_layers();
    layer.set_name(plan.name);
    layer.set_depth(depth);
    layer.set_description(models::Phrase(plan));
    *layer.mutable_output() = ToProto(plan.output);
    layer.set_flat(!plan.gives_image);
    layer.set_parameter_count(ParametersOf(plan));
    layer.set_multiply_adds(plan.multiply_adds);
    layer.set_receptive_height(
        static_cast<std::int32_t>(std::min(plan.receptive_field.height, input.height)));
    layer.set_receptive_width(
        static_cast<std::int32_t>(std::min(plan.receptive_field.width, input.width)));
    AddLayers(plan.body, input, depth + 1, description);
  }
}

// What is done to images before the first layer.
void AddStandardization(const v1::Network& network, v1::NetworkDescription* description) {
  v1::LayerDescription& layer = *description->add_layers();
  layer.set_name("standardization");
  layer.set_description(network.has_standardization()
                            ? models::StandardizationPhrase(network.standardization())
                            : "mean 0 and deviation 1 in the training images");
  *layer.mutable_output() = description->input();
  layer.set_receptive_height(1);
  layer.set_receptive_width(1);
}

// The network that a request names, for no images yet.
absl::StatusOr<v1::TrainingSpec> NetworkOf(const v1::DescribeNetworkRequest& request) {
  v1::TrainingSpec spec = request.spec();
  for (const models::Preset& preset : models::Presets()) {
    const bool meant = spec.has_conv_depth() && preset.conv_depth == spec.conv_depth();
    if (meant && spec.preset().empty()) spec.set_preset(preset.name);
  }
  if (!spec.preset().empty() && models::FindPreset(spec.preset()) == nullptr) {
    return jobs::InvalidField("spec.preset",
                              absl::StrCat("There is no preset ", jobs::Quoted(spec.preset()),
                                           "; `atelier presets` lists them."));
  }
  const std::vector<jobs::FieldViolation> wrong = BuildNetwork(&spec);
  if (!wrong.empty()) return jobs::InvalidFields(wrong);
  if (!spec.has_network()) {
    return jobs::InvalidField("spec.preset",
                              "No network is named; give a preset, filters or layers.");
  }
  return spec;
}

absl::StatusOr<models::Architecture> ArchitectureOf(const v1::DescribeNetworkRequest& request,
                                                    jobs::DatasetSource* datasets) {
  const auto spec = NetworkOf(request);
  if (!spec.ok()) return spec.status();
  v1::ImageShape input = request.input();
  int classes = request.classes();
  if (!request.has_input() || classes == 0) {
    const auto dataset = FactsOfDataset(request.dataset(), datasets);
    if (!dataset.ok()) return dataset.status();
    if (!request.has_input()) input = dataset->image_shape;
    if (classes == 0) classes = dataset->class_count;
  }
  const double dropout =
      spec->has_dropout() ? spec->dropout() : jobs::DefaultsOf(v1::RECIPE_STUDY).dropout();
  return models::Architecture{
      spec->network(), {input.channels(), input.height(), input.width()}, classes, dropout};
}

}  // namespace

absl::StatusOr<v1::NetworkDescription> DescribeNetwork(const v1::DescribeNetworkRequest& request,
                                                       jobs::DatasetSource* datasets) {
  const auto architecture = ArchitectureOf(request, datasets);
  if (!architecture.ok()) return architecture.status();
  const models::NetworkPlan plan = models::PlanOf(*architecture);
  v1::NetworkDescription description;
  *description.mutable_network() = architecture->network;
  *description.mutable_input() = ToProto(architecture->input);
  description.set_classes(static_cast<std::int32_t>(architecture->classes));
  for (const std::string& problem : plan.problems)
    description.add_problems(jobs::Sentence(problem));
  if (!plan.problems.empty()) return description;
  if (request.spec().standardize() || architecture->network.has_standardization()) {
    AddStandardization(architecture->network, &description);
  }
  AddLayers(plan.layers, architecture->input, 0, &description);
  description.set_parameter_count(architecture->ParameterCount());
  description.set_trainable_parameter_count(architecture->TrainableParameterCount());
  description.set_multiply_adds(architecture->MultiplyAdds());
  const absl::Status covered = models::KernelsCoverInference(*architecture, models::Device::kCpu);
  description.set_compute_path(covered.ok() ? v1::COMPUTE_PATH_KERNELS : v1::COMPUTE_PATH_LIBTORCH);
  if (!covered.ok()) description.set_path_reason(jobs::Sentence(covered.message()));
  return description;
}

}  // namespace atelier::wiring
