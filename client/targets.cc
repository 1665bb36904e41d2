#include "client/targets.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/display_text.h"
#include "client/job_text.h"
#include "client/model_versions.h"

namespace atelier::client {
namespace {

absl::StatusOr<v1::TrainingJob> GetJob(Session& session, const std::string& text) {
  v1::GetJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::GetJob, request, {.repeats = 1});
}

}  // namespace

absl::StatusOr<v1::Experiment> GetExperimentInstead(Session& session, const std::string& text,
                                                    const absl::Status& no_job) {
  const bool named = absl::StartsWith(text, "experiments/");
  if (!named && (!absl::IsNotFound(no_job) || absl::StartsWith(text, "jobs/"))) return no_job;
  v1::GetExperimentRequest request;
  auto name = ExperimentName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  auto experiment = session.Call(&ExperimentService::GetExperiment, request, {.repeats = 1});
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

absl::StatusOr<Named> GetNamed(Session& session, const std::vector<std::string>& texts) {
  Named named;
  absl::Status missing;
  for (const std::string& text : texts) {
    auto target = GetTarget(session, text);
    if (absl::IsNotFound(target.status())) {
      missing.Update(target.status());
      named.trials.push_back(MissingTrial(text));
      continue;
    }
    if (!target.ok()) return target.status();
    if (auto* job = std::get_if<v1::TrainingJob>(&*target)) {
      named.trials.push_back(TrialOf(*job));
      named.jobs.push_back(std::move(*job));
    } else {
      auto& experiment = std::get<v1::Experiment>(*target);
      for (Trial& trial : TrialsOf(experiment)) named.trials.push_back(std::move(trial));
      named.experiments.push_back(std::move(experiment));
    }
  }
  if (named.jobs.empty() && named.experiments.empty() && !missing.ok()) return missing;
  return named;
}

absl::StatusOr<ModelReference> ModelOf(Session& session, const std::string& text) {
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

absl::StatusOr<std::string> DatasetOf(Session& session, const std::string& name,
                                      const ModelReference& model) {
  if (!name.empty()) return DatasetName(name);
  v1::GetModelRequest request;
  request.set_name(model.ModelName());
  const auto found = session.Call(&ModelService::GetModel, request);
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
