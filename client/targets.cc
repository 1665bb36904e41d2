#include "client/targets.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/arguments.h"

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

}  // namespace atelier::client
