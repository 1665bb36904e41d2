#include "proto/lifecycle/lifecycle.h"

namespace atelier {

v1::RunState RunStateOf(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_QUEUED:
      return v1::RUN_STATE_QUEUED;
    case v1::JOB_STATE_COMPLETED:
      return v1::RUN_STATE_COMPLETED;
    case v1::JOB_STATE_FAILED:
      return v1::RUN_STATE_FAILED;
    case v1::JOB_STATE_STOPPED:
      return v1::RUN_STATE_STOPPED;
    default:
      return v1::RUN_STATE_RUNNING;
  }
}

JobKind KindOf(const v1::TrainingJob& job) {
  if (job.has_import()) return JobKind::kImport;
  if (job.has_evaluation()) return JobKind::kEvaluation;
  return job.has_check() ? JobKind::kCheck : JobKind::kTraining;
}

const std::string& DatasetOf(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return job.import().dataset();
    case JobKind::kEvaluation:
      return job.evaluation().dataset();
    case JobKind::kCheck:
      return job.check().dataset();
    case JobKind::kTraining:
      break;
  }
  return job.spec().dataset();
}

bool EndsAttempt(const worker::v1::WorkerEvent& event) {
  return event.has_outcome() || event.has_import_outcome() || event.has_scoring_outcome() ||
         event.has_failure() || event.has_suspended() || event.has_stopped_empty();
}

}  // namespace atelier
