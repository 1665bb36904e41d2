// JobController: evaluations of models and checks of data sets.
#include <utility>

#include "server/jobs/canonical_request.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/scoring_request.h"

namespace atelier::jobs {

absl::StatusOr<v1::TrainingJob> JobController::StartEvaluation(
    const v1::EvaluateModelRequest& request, const std::string& creator) {
  const std::string canonical = Canonical(request);
  // Before anything is looked at that may have changed since.
  auto repeat = FindRepeat(creator, request.request_id(), canonical);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  auto spec = ResolveEvaluation(request, with_.models, with_.datasets, with_.resolver->options());
  if (!spec.ok()) return spec.status();
  if (auto status = CheckArchive(spec->model_version()); !status.ok()) return status;
  v1::TrainingJob job;
  *job.mutable_evaluation() = *std::move(spec);
  job.set_creator(creator);
  return AcceptOther(std::move(job), request.request_id(), canonical);
}

absl::StatusOr<v1::TrainingJob> JobController::StartCheck(const v1::CheckDatasetRequest& request,
                                                          const std::string& creator) {
  const std::string canonical = Canonical(request);
  auto repeat = FindRepeat(creator, request.request_id(), canonical);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  auto spec = ResolveCheck(request, with_.datasets, with_.resolver->options());
  if (!spec.ok()) return spec.status();
  v1::TrainingJob job;
  *job.mutable_check() = *std::move(spec);
  job.set_creator(creator);
  return AcceptOther(std::move(job), request.request_id(), canonical);
}

absl::StatusOr<worker::v1::Assignment> JobController::MakeScoringAssignment(const LiveJob& live) {
  const v1::TrainingJob& job = live.record.job;
  const int cores = job.attempts(live.record.attempt() - 1).cores();
  worker::v1::Assignment assignment;
  if (job.has_check()) {
    *assignment.mutable_check() = job.check();
    assignment.mutable_check()->set_cores(cores);
    return assignment;
  }
  const auto reference = ParseModelName(job.evaluation().model_version());
  if (!reference.ok()) return reference.status();
  const auto version = with_.models->ResolveVersion(reference->model, reference->version);
  if (!version.ok()) return version.status();
  worker::v1::EvaluationAssignment* evaluation = assignment.mutable_evaluation();
  *evaluation->mutable_spec() = job.evaluation();
  evaluation->mutable_spec()->set_cores(cores);
  evaluation->set_archive(with_.artifacts->ArchivePath(reference->model, version->version()));
  if (version->result().has_temperature()) {
    evaluation->set_temperature(version->result().temperature());
  }
  return assignment;
}

}  // namespace atelier::jobs
