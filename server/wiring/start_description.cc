#include "server/wiring/start_description.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "models/network/architecture.h"
#include "models/network/training_options.h"
#include "models/network/training_start.h"

namespace atelier::wiring {
namespace {

using models::Architecture;

models::ImageShape ShapeOf(const v1::ImageShape& shape) {
  return {shape.channels(), shape.height(), shape.width()};
}

std::string ShapeText(const v1::ImageShape& shape) {
  return absl::StrCat(shape.channels(), "x", shape.height(), "x", shape.width());
}

absl::StatusOr<Architecture> ArchitectureOf(const v1::ModelVersion& version) {
  const v1::TrainingSpec& spec = version.spec();
  // Versions of 0.1.0 have a preset alone.
  if (!spec.has_network()) {
    return Architecture::FromPreset(spec.preset(), ShapeOf(version.image_shape()),
                                    version.class_names_size(), spec.dropout());
  }
  Architecture architecture{spec.network(), ShapeOf(version.image_shape()),
                            version.class_names_size(), spec.dropout()};
  if (absl::Status status = architecture.Validate(); !status.ok()) return status;
  return architecture;
}

class Description {
 public:
  Description(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts)
      : spec_(spec),
        facts_(facts),
        architecture_{spec.network(), ShapeOf(facts.image_shape), facts.class_count,
                      spec.dropout()} {}

  void Match(const v1::ModelVersion& version) {
    const std::string shape = ShapeText(version.image_shape());
    if (shape != ShapeText(facts_.image_shape)) {
      return Wrong("start_from", absl::StrCat(version.name(), " is for images of ", shape,
                                              ", those of the data set ", spec_.dataset(), " are ",
                                              ShapeText(facts_.image_shape),
                                              " (channels x height x width); choose a model or a "
                                              "data set of the same."));
    }
    const auto from = ArchitectureOf(version);
    if (!from.ok()) {
      return Wrong("start_from", absl::StrCat("The network of ", version.name(),
                                              " cannot be read: ", from.status().message(), "."));
    }
    const bool same_classes = std::equal(version.class_names().begin(), version.class_names().end(),
                                         facts_.class_names.begin(), facts_.class_names.end());
    models::MatchLayers(architecture_, *from, same_classes, &start_);
    if (start_.taken_layers.empty()) {
      return Wrong("start_from",
                   absl::StrCat("No layer of the network has the names and shapes of one of ",
                                version.name(),
                                "; nothing would be taken from it. Leave the network out to use "
                                "that model's, or start from another."));
    }
    start_.model_version = version.name();
    start_.sha256 = version.sha256();
  }

  void Freeze() {
    const std::int64_t count = spec_.freeze();
    const std::int64_t layers = models::WeightLayerCount(architecture_);
    if (count < 0 || count >= layers) {
      return Wrong(
          "freeze",
          absl::StrCat("The number of layers to freeze is ", count, "; the network has ", layers,
                       " convolutions and dense layers, of which at least one must be "
                       "trained: it must be 0 to ",
                       layers - 1, "."));
    }
    if (count == 0) return;
    if (start_.model_version.empty() && spec_.continues().empty()) {
      return Wrong("freeze",
                   "Layers with new random weights would be frozen; start from a model, or "
                   "continue a job.");
    }
    start_.frozen_layers = models::FrozenLayers(architecture_, count);
    CheckFrozenAreTaken();
    CheckMuon();
  }

  void Write(v1::TrainingStart* start) const {
    start->set_model_version(start_.model_version);
    start->set_sha256(start_.sha256);
    const auto assign = [](const std::vector<std::string>& names, auto* list) {
      list->Assign(names.begin(), names.end());
    };
    assign(start_.taken_layers, start->mutable_taken_layers());
    assign(start_.new_layers, start->mutable_new_layers());
    assign(start_.frozen_layers, start->mutable_frozen_layers());
  }

  std::vector<jobs::FieldViolation>& wrong() { return wrong_; }

 private:
  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({absl::StrCat("spec.", field), std::move(description)});
  }

  void CheckFrozenAreTaken() {
    for (const std::string& layer : start_.new_layers) {
      const std::vector<std::string>& frozen = start_.frozen_layers;
      if (std::find(frozen.begin(), frozen.end(), layer) == frozen.end()) continue;
      return Wrong("freeze", absl::StrCat("The layer ", layer,
                                          " would be frozen, but is not taken "
                                          "from ",
                                          start_.model_version,
                                          " and has new random weights; freeze fewer layers."));
    }
  }

  void CheckMuon() {
    if (spec_.optimizer() != v1::OPTIMIZER_MUON) return;
    const std::vector<bool> frozen = models::FrozenTensors(architecture_, spec_.freeze());
    const std::vector<std::size_t> matrices = models::HiddenMatrices(architecture_);
    if (std::any_of(matrices.begin(), matrices.end(), [&](std::size_t i) { return !frozen[i]; })) {
      return;
    }
    Wrong("optimizer",
          "The optimizer muon is for weight matrices between the first layer and the output, and "
          "all of them would be frozen; use adamw, or freeze fewer layers.");
  }

  const v1::TrainingSpec& spec_;
  const jobs::DatasetFacts& facts_;
  const Architecture architecture_;
  models::TrainingStart start_;
  std::vector<jobs::FieldViolation> wrong_;
};

}  // namespace

std::vector<jobs::FieldViolation> DescribeStart(const v1::TrainingSpec& spec,
                                                const jobs::DatasetFacts& facts,
                                                const v1::ModelVersion* version,
                                                v1::TrainingStart* start) {
  if (!spec.has_network()) return {};  // What is wrong with it is told already.
  Description description(spec, facts);
  if (version != nullptr) description.Match(*version);
  if (description.wrong().empty()) description.Freeze();
  description.Write(start);
  return std::move(description.wrong());
}

}  // namespace atelier::wiring
