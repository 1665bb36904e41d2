// What the kinds and states of jobs and the events of workers mean, for all three programs.
// Thread-safe: pure functions.
#ifndef ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_
#define ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_

#include <string>

#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier {

// The state of an experiment's run whose job is in this state.
v1::RunState RunStateOf(v1::JobState state);

// What a job does.
enum class JobKind { kTraining, kImport, kEvaluation, kCheck };

JobKind KindOf(const v1::TrainingJob& job);

// The data set that a job reads, as TrainingSpec.dataset; of an import the one that it makes a
// version of.
const std::string& DatasetOf(const v1::TrainingJob& job);

// True for the last event of an attempt.
bool EndsAttempt(const worker::v1::WorkerEvent& event);

}  // namespace atelier

#endif  // ATELIER_PROTO_LIFECYCLE_LIFECYCLE_H_
