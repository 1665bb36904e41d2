#include "server/jobs/start_choices.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/lifecycle/network_title.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

using google::protobuf::FieldDescriptor;

bool IsOfNetwork(const FieldDescriptor* field) {
  return field->number() == v1::TrainingSpec::kPresetFieldNumber ||
         field->number() == v1::TrainingSpec::kConvDepthFieldNumber ||
         field->number() >= v1::TrainingSpec::kNetworkFieldNumber;
}

}  // namespace

std::vector<const FieldDescriptor*> FieldsOf(const v1::TrainingSpec& spec) {
  std::vector<const FieldDescriptor*> fields;
  spec.GetReflection()->ListFields(spec, &fields);
  return fields;
}

void ClearNetwork(v1::TrainingSpec* spec) {
  for (const FieldDescriptor* field : FieldsOf(*spec)) {
    if (IsOfNetwork(field)) spec->GetReflection()->ClearField(spec, field);
  }
}

std::string NetworkName(const v1::TrainingSpec& spec) {
  const std::string title = NetworkTitle(spec);
  return IsSlug(title, 40) ? title : "network";
}

bool NamesNetwork(const v1::TrainingSpec& spec) {
  return !spec.preset().empty() || spec.has_conv_depth() || spec.has_network() ||
         !spec.conv().empty();
}

void InheritNetwork(const v1::TrainingSpec& from, v1::TrainingSpec* spec) {
  if (NamesNetwork(*spec)) return;
  const std::vector<const FieldDescriptor*> given = FieldsOf(*spec);
  // It names none, so that these are changes.
  const bool changed = std::any_of(given.begin(), given.end(), IsOfNetwork);
  v1::TrainingSpec network = from;
  for (const FieldDescriptor* field : FieldsOf(from)) {
    if (!IsOfNetwork(field) || std::find(given.begin(), given.end(), field) != given.end()) {
      network.GetReflection()->ClearField(&network, field);
    }
  }
  // With changes the layers are to be made anew, where something is known that makes them.
  if (changed && (!from.preset().empty() || !from.conv().empty())) network.clear_network();
  spec->MergeFrom(network);
}

absl::StatusOr<std::optional<v1::ModelVersion>> ResolveStart(
    const v1::StartTrainingRequest& request, ModelStore* models, v1::TrainingSpec* spec,
    std::vector<FieldViolation>* wrong) {
  if (spec->continues() != request.continue_job()) {
    wrong->push_back({"spec.continues",
                      "Only the server sets this field; name the job to continue in "
                      "StartTrainingRequest.continue_job."});
  }
  if (spec->schedule_start_epoch() != 0 && request.continue_job().empty()) {
    wrong->push_back({"spec.schedule_start_epoch",
                      "Only the server sets this field, for a job that is continued."});
  }
  const std::optional<v1::ModelVersion> none;
  if (spec->start_from().empty()) return none;
  const auto reference = ParseModelName(spec->start_from(), "spec.start_from");
  if (!reference.ok()) {
    wrong->push_back({"spec.start_from", std::string(reference.status().message())});
    return none;
  }
  auto version = models == nullptr ? absl::NotFoundError("This server has no models.")
                                   : models->ResolveVersion(reference->model, reference->version);
  if (absl::IsNotFound(version.status()) || absl::IsFailedPrecondition(version.status())) {
    wrong->push_back({"spec.start_from", std::string(version.status().message())});
    return none;
  }
  if (!version.ok()) return version.status();
  spec->set_start_from(version->name());
  InheritNetwork(version->spec(), spec);
  return std::optional<v1::ModelVersion>(*std::move(version));
}

void ResolveStandardization(const v1::ModelVersion* start, v1::TrainingSpec* spec,
                            std::vector<FieldViolation>* wrong) {
  // Weights mean something only for images as they were trained with.
  const bool inherited = start != nullptr && start->result().has_standardization() &&
                         spec->has_network() && !spec->network().has_standardization();
  if (inherited) {
    *spec->mutable_network()->mutable_standardization() = start->result().standardization();
  }
  if (!spec->network().has_standardization()) return;
  if (spec->has_standardize() && !spec->standardize()) {
    wrong->push_back(
        {"spec.standardize",
         absl::StrCat(
             "Images are not to be standardized, but ", inherited ? start->name() : "the network",
             " standardizes them by numbers of its own; leave it out, or ",
             inherited ? "start from a model that does not." : "remove them from the network.")});
  }
  spec->set_standardize(true);
}

}  // namespace atelier::jobs
