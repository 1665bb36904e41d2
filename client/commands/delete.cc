// `atelier delete`: removes an ended job or experiment, a model, or one of its versions.
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

struct DeleteOptions {
  std::string name;
  bool force = false;
};

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
  return SayDeleted(session, *done, absl::StrCat(Leaf(request.name()), "; its jobs are kept"));
}

absl::StatusOr<google::protobuf::Empty> DeleteJob(Session& session, const std::string& text) {
  v1::DeleteJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::DeleteJob, request);
}

absl::StatusOr<int> DeleteFromModel(Session& session, const std::string& name, bool force,
                                    const std::string& what) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  request.set_force(force);
  const auto done = session.Call(&ModelService::DeleteModel, request);
  if (!done.ok()) return done.status();
  return SayDeleted(session, *done, what);
}

// FAILED_PRECONDITION for a model of which more would be lost than a name tells: several versions,
// or one that an alias names.
absl::Status NeedsForce(const v1::Model& model) {
  std::vector<std::string> aliases;
  for (const v1::ModelAlias& alias : model.aliases()) {
    if (alias.alias() != "latest") aliases.push_back(alias.alias());
  }
  if (model.version_count() <= 1 && aliases.empty()) return absl::OkStatus();
  const std::string id(Leaf(model.name()));
  return absl::FailedPreconditionError(absl::StrCat(
      "The model ", id, " has ", Count(model.version_count(), "version"),
      aliases.empty() ? ""
                      : absl::StrCat(aliases.size() == 1 ? " and the alias " : " and the aliases ",
                                     absl::StrJoin(aliases, ", ")),
      ". Delete all of it with --force, or one version with `atelier delete ", id, "@NUMBER`."));
}

absl::StatusOr<int> DeleteWholeModel(Session& session, const v1::Model& model, bool force) {
  if (!force) {
    if (const absl::Status refused = NeedsForce(model); !refused.ok()) return refused;
  }
  return DeleteFromModel(
      session, model.name(), force,
      absl::StrCat(Leaf(model.name()), " with ", Count(model.version_count(), "version")));
}

// A model, or one of its versions by its number: what an alias names may change before one looks.
absl::StatusOr<int> DeleteModel(Session& session, const DeleteOptions& options) {
  const auto reference = ParseModel(options.name);
  if (!reference.ok()) return reference.status();
  const std::string& version = reference->version;
  if (version.empty()) {
    const auto model = GetModel(session, *reference);
    if (!model.ok()) return model.status();
    return DeleteWholeModel(session, *model, options.force);
  }
  if (version.find_first_not_of("0123456789") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", EscapeControls(options.name),
                     "' is not a version number; give a version as NAME@NUMBER."));
  }
  const std::string name = reference->ResourceName();
  return DeleteFromModel(session, name, options.force, ShortModel(name));
}

// What is neither a job nor an experiment may be a model.
absl::StatusOr<int> DeleteModelInstead(Session& session, const DeleteOptions& options,
                                       const absl::Status& no_job) {
  const auto reference = ParseModel(options.name);
  if (!absl::IsNotFound(no_job) || !reference.ok()) return no_job;
  const auto model = GetModel(session, *reference);
  return model.ok() ? DeleteWholeModel(session, *model, options.force) : no_job;
}

absl::StatusOr<int> Delete(Session& session, const DeleteOptions& options) {
  const std::string& text = options.name;
  if (absl::StrContains(text, '@') || absl::StartsWith(text, "models/")) {
    return DeleteModel(session, options);
  }
  const auto done = DeleteJob(session, text);
  if (done.ok()) return SayDeleted(session, *done, absl::StrCat(Leaf(text), "; its model is kept"));
  const auto experiment = GetExperimentInstead(session, text, done.status());
  if (experiment.ok()) return DeleteExperiment(session, *experiment);
  if (absl::StrContains(text, '/')) return experiment.status();
  return DeleteModelInstead(session, options, experiment.status());
}

}  // namespace

void AddDelete(CommandSet* commands) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* const command = commands->Add(
      {"delete",
       "Delete an ended job or experiment, a model or one of its versions",
       "Deleting a job keeps its model; deleting an experiment keeps its jobs. If several\n"
       "resources have the name, a job takes precedence over an experiment, and that over a\n"
       "model. A model with several versions, and a version with an alias other than `latest`,\n"
       "can only be deleted with --force.",
       {{"atelier delete cnn-3-20260101-120000", "the job, not its model"},
        {"atelier delete cnn-3@2", "the model's second version"},
        {"atelier delete cnn-3 --force", "the model, with every version and alias"}}},
      [options](Session& session) { return Delete(session, *options); });
  command->add_option("NAME", options->name, "A job, experiment, model or MODEL@VERSION")
      ->required()
      ->type_name("");
  command->add_flag("--force", options->force, "Delete aliases and several versions, too");
}

}  // namespace atelier::client
