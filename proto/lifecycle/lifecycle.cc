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

bool EndsAttempt(const worker::v1::WorkerEvent& event) {
  return event.has_outcome() || event.has_import_outcome() || event.has_failure() ||
         event.has_suspended() || event.has_stopped_empty();
}

}  // namespace atelier
