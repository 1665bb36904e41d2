// States of experiments and their runs. Pure functions.
#ifndef ATELIER_SERVER_JOBS_EXPERIMENT_STATE_H_
#define ATELIER_SERVER_JOBS_EXPERIMENT_STATE_H_

#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"

namespace atelier::jobs {

// COMPLETED and STOPPED: nothing leads out of them.
bool IsTerminal(v1::ExperimentState state);

// True once nothing more becomes of a run.
bool IsTerminal(v1::RunState state);

// Adds `count` runs to those counted already, which are sorted by state.
void CountRuns(v1::RunState state, int count, v1::Experiment* experiment);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXPERIMENT_STATE_H_
