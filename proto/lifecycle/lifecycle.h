// What the states of jobs and the events of workers mean, for all three programs. Thread-safe: pure
// functions.
#ifndef ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_
#define ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_

#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier {

// The state of an experiment's run whose job is in this state.
v1::RunState RunStateOf(v1::JobState state);

// True for the last event of an attempt.
bool EndsAttempt(const worker::v1::WorkerEvent& event);

}  // namespace atelier

#endif  // ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_
