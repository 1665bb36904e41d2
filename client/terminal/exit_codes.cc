#include "client/terminal/exit_codes.h"

namespace atelier::client {

bool HasEnded(v1::JobState state) {
  return state == v1::JOB_STATE_COMPLETED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_STOPPED;
}

int ExitCodeOf(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_COMPLETED:
      return kDone;
    case v1::JOB_STATE_FAILED:
      return kJobFailed;
    case v1::JOB_STATE_STOPPED:
      return kJobStopped;
    default:
      return kJobNotFinished;
  }
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kDone;
  if (absl::IsNotFound(status)) return kNotFound;
  if (absl::IsCancelled(status)) return kInterrupted;
  return kError;
}

}  // namespace atelier::client
