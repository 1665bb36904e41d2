#include "server/wiring/preset_list.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/network/architecture.h"
#include "models/network/presets.h"
#include "server/jobs/error.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"

namespace atelier::wiring {
namespace {

absl::StatusOr<models::Architecture> NetworkFor(const std::string& preset,
                                                const jobs::DatasetFacts& facts, double dropout) {
  const v1::ImageShape& shape = facts.image_shape;
  return models::Architecture::FromPreset(preset, {shape.channels(), shape.height(), shape.width()},
                                          facts.class_count, dropout);
}

absl::StatusOr<jobs::DatasetFacts> FactsOf(const std::string& dataset,
                                           jobs::DatasetSource* datasets) {
  auto facts = datasets->Describe(dataset);
  if (absl::IsNotFound(facts.status())) {
    return jobs::Error(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                       absl::StrCat("There is no data set ", jobs::Quoted(dataset),
                                    "; there are: ", absl::StrJoin(datasets->Names(), ", "), "."));
  }
  if (!facts.ok()) return facts.status();
  if (!facts->problem.empty()) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "BAD_DATA",
                       absl::StrCat("The data set ", jobs::Quoted(dataset),
                                    " cannot be used: ", facts->problem, "."));
  }
  return *std::move(facts);
}

v1::Preset ToProto(const models::Preset& preset, const jobs::DatasetFacts& facts) {
  v1::Preset proto;
  proto.set_name(preset.name);
  if (preset.conv_depth.has_value()) proto.set_conv_depth(*preset.conv_depth);
  proto.set_description(preset.description);
  const auto network = NetworkFor(preset.name, facts, /*dropout=*/0);
  if (!network.ok()) {
    proto.set_problem(jobs::Sentence(network.status().message()));
    return proto;
  }
  proto.set_parameter_count(network->ParameterCount());
  proto.set_trainable_parameter_count(network->TrainableParameterCount());
  proto.set_multiply_adds(network->MultiplyAdds());
  return proto;
}

}  // namespace

std::vector<jobs::PresetChoice> PresetChoices() {
  std::vector<jobs::PresetChoice> choices;
  for (const models::Preset& preset : models::Presets()) {
    choices.push_back({preset.name, preset.conv_depth});
  }
  return choices;
}

absl::StatusOr<jobs::DatasetFacts> FactsOfDataset(const std::string& dataset,
                                                  jobs::DatasetSource* datasets) {
  std::string name = jobs::DefaultsOf(v1::RECIPE_STUDY).dataset();
  if (!dataset.empty()) {
    const auto reference = jobs::ParseDatasetName(dataset, "dataset");
    if (!reference.ok()) return reference.status();
    name = reference->Text();
  }
  return FactsOf(name, datasets);
}

absl::StatusOr<v1::ListPresetsResponse> ListPresets(const v1::ListPresetsRequest& request,
                                                    jobs::DatasetSource* datasets) {
  const auto dataset = FactsOfDataset(request.dataset(), datasets);
  if (!dataset.ok()) return dataset.status();
  v1::ListPresetsResponse response;
  const auto reference = jobs::ParseDatasetReference(dataset->reference);
  response.set_dataset(reference->version == 0
                           ? jobs::DatasetName(reference->dataset)
                           : jobs::DatasetVersionName(reference->dataset, reference->version));
  for (const models::Preset& preset : models::Presets()) {
    *response.add_presets() = ToProto(preset, *dataset);
  }
  return response;
}

}  // namespace atelier::wiring
