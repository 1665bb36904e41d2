// Which states a job may go through. Every change of state, wherever it comes from, passes
// CanTransition. Pure functions.
#ifndef ATELIER_SERVER_JOBS_JOB_STATE_H_
#define ATELIER_SERVER_JOBS_JOB_STATE_H_

#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"

namespace atelier::jobs {

// True if a job may go from `from` directly to `to`. No state leads to itself, none leads to
// JOB_STATE_UNSPECIFIED, and a new job enters QUEUED from JOB_STATE_UNSPECIFIED.
bool CanTransition(v1::JobState from, v1::JobState to);

// COMPLETED, FAILED and STOPPED: nothing leads out of them.
bool IsTerminal(v1::JobState state);

// The state's name without its prefix, such as `QUEUED`; `UNSPECIFIED` for a number that is none.
absl::string_view StateWord(v1::JobState state);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_STATE_H_
