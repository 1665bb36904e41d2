#include "client/comparing/targets.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/calls/model_versions.h"
#include "client/following/job_text.h"
#include "client/terminal/display_text.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

absl::StatusOr<v1::Experiment> GetExperiment(Session& session, const std::string& text) {
  v1::GetExperimentRequest request;
  auto name = ExperimentName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&ExperimentService::GetExperiment, request, {.repeats = 1});
}

absl::StatusOr<v1::TrainingJob> GetJob(Session& session, const std::string& text) {
  v1::GetJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::GetJob, request, {.repeats = 1});
}

absl::StatusOr<ModelReference> ModelOfExperiment(Session& session, const std::string& text) {
  const auto experiment = GetExperiment(session, text);
  if (!experiment.ok()) return experiment.status();
  const Comparison comparison = Compare(TrialsOf(*experiment));
  const Trial* const best = BestTrial(comparison);
  if (best != nullptr && !best->result->model_version().empty()) {
    return ParseModel(best->result->model_version());
  }
  const std::string warning = DataWarning(comparison);
  return absl::FailedPreconditionError(absl::StrCat("The experiment ", EscapeControls(Leaf(text)),
                                                    " has no best run: ",
                                                    !warning.empty()  ? warning
                                                    : best == nullptr ? "none has completed yet."
                                                                      : "its model is not there."));
}

// Adds a job to what is named, unless it is there already.
absl::Status Take(const v1::TrainingJob& job, Nameable nameable, bool is_new, Named* named) {
  const bool evaluation = job.has_evaluation() && nameable == Nameable::kEvaluationsToo;
  if (KindOf(job) != JobKind::kTraining && !evaluation) {
    return absl::FailedPreconditionError(
        absl::StrCat("The job ", EscapeControls(Leaf(job.name())), " is of the kind ",
                     KindText(job), " and trains nothing; name trainings",
                     nameable == Nameable::kEvaluationsToo ? " and evaluations." : "."));
  }
  if (!is_new) return absl::OkStatus();
  if (evaluation) {
    named->evaluations.push_back(job);
  } else {
    named->trials.push_back(TrialOf(job));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Experiment> GetExperimentInstead(Session& session, const std::string& text,
                                                    const absl::Status& no_job) {
  const bool named = absl::StartsWith(text, "experiments/");
  if (!named && (!absl::IsNotFound(no_job) || absl::StartsWith(text, "jobs/"))) return no_job;
  auto experiment = GetExperiment(session, text);
  if (experiment.ok() || named) return experiment;
  return no_job;
}

absl::StatusOr<Target> GetTarget(Session& session, const std::string& text) {
  auto job = GetJob(session, text);
  if (job.ok()) return Target(*std::move(job));
  auto experiment = GetExperimentInstead(session, text, job.status());
  if (!experiment.ok()) return experiment.status();
  return Target(*std::move(experiment));
}

absl::StatusOr<Named> GetNamed(Session& session, const std::vector<std::string>& texts,
                               Nameable nameable) {
  Named named;
  absl::Status missing;
  bool found = false;
  std::set<std::string> known;  // Names of what is in `named` already.
  for (const std::string& text : texts) {
    auto target = GetTarget(session, text);
    if (absl::IsNotFound(target.status())) {
      missing.Update(target.status());
      if (known.insert(std::string(Leaf(text))).second) named.trials.push_back(MissingTrial(text));
      continue;
    }
    if (!target.ok()) return target.status();
    found = true;
    if (const auto* job = std::get_if<v1::TrainingJob>(&*target)) {
      if (absl::Status status = Take(*job, nameable, known.insert(job->name()).second, &named);
          !status.ok()) {
        return status;
      }
      continue;
    }
    auto& experiment = std::get<v1::Experiment>(*target);
    if (!known.insert(experiment.name()).second) continue;
    for (Trial& trial : TrialsOf(experiment)) {
      // Runs that wait for their turn have no job yet.
      const bool fresh = trial.job.empty() || known.insert(trial.job).second;
      if (fresh) named.trials.push_back(std::move(trial));
    }
    named.experiments.push_back(std::move(experiment));
  }
  if (!found && !missing.ok()) return missing;
  return named;
}

absl::StatusOr<ModelReference> ModelOf(Session& session, const std::string& text) {
  if (absl::StartsWith(text, "experiments/")) return ModelOfExperiment(session, text);
  if (!absl::StartsWith(text, "jobs/")) return ParseModel(text);
  const auto job = GetJob(session, text);
  if (!job.ok()) return job.status();
  if (job->result().model_version().empty()) {
    return absl::FailedPreconditionError(absl::StrCat("The job ", EscapeControls(Leaf(text)),
                                                      " is ", StateText(job->state()),
                                                      " and has no model."));
  }
  return ParseModel(job->result().model_version());
}

absl::StatusOr<v1::Model> GetModel(Session& session, const ModelReference& reference) {
  v1::GetModelRequest request;
  request.set_name(reference.ModelName());
  auto model = session.Call(&ModelService::GetModel, request);
  while (model.ok() && !model->next_page_token().empty()) {
    request.set_page_token(model->next_page_token());
    auto page = session.Call(&ModelService::GetModel, request);
    if (!page.ok()) return page.status();
    for (v1::ModelVersion& version : *page->mutable_versions()) {
      *model->add_versions() = std::move(version);
    }
    model->set_next_page_token(page->next_page_token());
  }
  return model;
}

absl::StatusOr<v1::ModelVersion> GetVersion(Session& session, const ModelReference& reference) {
  const auto model = GetModel(session, reference);
  if (!model.ok()) return model.status();
  const auto version = FindVersion(*model, reference.version);
  if (!version.ok()) return version.status();
  return **version;
}

absl::StatusOr<std::string> DatasetOf(Session& session, const std::string& name,
                                      const ModelReference& model) {
  if (!name.empty()) return DatasetName(name);
  const auto found = GetModel(session, model);
  if (!found.ok()) return found.status();
  if (found->versions().empty()) {
    return absl::NotFoundError(absl::StrCat("The model ", model.model, " has no versions."));
  }
  const auto version = FindVersion(*found, model.version);
  // A version that is not there is for the next call to complain about.
  const v1::ModelVersion& trained = version.ok() ? **version : found->versions(0);
  return DatasetName(trained.spec().dataset());
}

}  // namespace atelier::client
