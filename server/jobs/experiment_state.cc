#include "server/jobs/experiment_state.h"

namespace atelier::jobs {

bool IsTerminal(v1::ExperimentState state) {
  return state == v1::EXPERIMENT_STATE_COMPLETED || state == v1::EXPERIMENT_STATE_STOPPED;
}

bool IsTerminal(v1::RunState state) {
  return state != v1::RUN_STATE_WAITING && state != v1::RUN_STATE_QUEUED &&
         state != v1::RUN_STATE_RUNNING;
}

void CountRuns(v1::RunState state, int count, v1::Experiment* experiment) {
  auto* const counts = experiment->mutable_run_counts();
  int place = 0;
  while (place < counts->size() && counts->Get(place).state() < state) ++place;
  if (place == counts->size() || counts->Get(place).state() != state) {
    counts->Add()->set_state(state);
    for (int i = counts->size() - 1; i > place; --i) counts->SwapElements(i, i - 1);
  }
  counts->Mutable(place)->set_count(counts->Get(place).count() + count);
}

}  // namespace atelier::jobs
