// Events that say no more than their number, for tests.
#ifndef ATELIER_TESTS_UNIT_WORKER_SMALL_EVENTS_H_
#define ATELIER_TESTS_UNIT_WORKER_SMALL_EVENTS_H_

#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier::worker {

inline v1::WorkerEvent Step(int step) {
  v1::WorkerEvent event;
  event.mutable_step()->set_step(step);
  return event;
}

inline v1::WorkerEvent Epoch(int epoch) {
  v1::WorkerEvent event;
  event.mutable_epoch()->set_epoch(epoch);
  return event;
}

}  // namespace atelier::worker

#endif  // ATELIER_TESTS_UNIT_WORKER_SMALL_EVENTS_H_
