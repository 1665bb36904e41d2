// `atelier delete`: removes an ended job or experiment, or a model's version.
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"
#include "client/targets.h"

namespace atelier::client {
namespace {

int SayDeleted(Session& session, const google::protobuf::Empty& answer, const std::string& what) {
  if (session.format() == OutputFormat::kJson) session.PrintJson(answer);
  if (session.text()) session.Print(absl::StrCat("Deleted ", what, ".\n"));
  return kDone;
}

absl::StatusOr<int> DeleteExperiment(Session& session, const v1::Experiment& experiment) {
  v1::DeleteExperimentRequest request;
  request.set_name(experiment.name());
  const auto done = session.Call(&ExperimentService::DeleteExperiment, request);
  if (!done.ok()) return done.status();
  return SayDeleted(session, *done, absl::StrCat(Leaf(request.name()), "; its jobs stay"));
}

absl::StatusOr<google::protobuf::Empty> DeleteJob(Session& session, const std::string& text) {
  v1::DeleteJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::DeleteJob, request);
}

// One version of a model, by its number: what an alias names may change before one looks.
absl::StatusOr<int> DeleteVersion(Session& session, const std::string& text) {
  const auto reference = ParseModel(text);
  if (!reference.ok()) return reference.status();
  const std::string& version = reference->version;
  if (version.empty() || version.find_first_not_of("0123456789") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", EscapeControls(text),
                     "' is no version's number; a version is deleted as NAME@NUMBER."));
  }
  v1::DeleteModelRequest request;
  request.set_name(reference->ResourceName());
  const auto done = session.Call(&ModelService::DeleteModel, request);
  if (!done.ok()) return done.status();
  return SayDeleted(session, *done, ShortModel(request.name()));
}

absl::StatusOr<int> Delete(Session& session, const std::string& text) {
  if (absl::StrContains(text, '@') || absl::StartsWith(text, "models/")) {
    return DeleteVersion(session, text);
  }
  const auto done = DeleteJob(session, text);
  if (!done.ok()) {
    const auto experiment = GetExperimentInstead(session, text, done.status());
    if (!experiment.ok()) return experiment.status();
    return DeleteExperiment(session, *experiment);
  }
  return SayDeleted(session, *done, absl::StrCat(Leaf(text), "; its model stays"));
}

}  // namespace

void AddDelete(CommandSet* commands) {
  const auto job = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"delete",
       "Delete an ended job or experiment, or a version of a model",
       "A deleted job's model stays, and so do a deleted experiment's jobs. A version\n"
       "that an alias names is kept, `latest` aside, which moves.",
       {{"atelier delete cnn-3-20260101-120000", "the job, not its model"},
        {"atelier delete cnn-3@2", "the model's second version"}}},
      [job](Session& session) { return Delete(session, *job); });
  command->add_option("NAME", *job, "The job or experiment, or MODEL@VERSION")
      ->required()
      ->type_name("");
}

}  // namespace atelier::client
