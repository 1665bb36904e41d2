// The time of a clock that is never set.
#ifndef ATELIER_SERVER_WORKER_STEADY_NOW_H_
#define ATELIER_SERVER_WORKER_STEADY_NOW_H_

#include <chrono>

#include "absl/time/time.h"

namespace atelier::worker {

// Since some moment in the past; for differences.
inline absl::Duration SteadyNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_STEADY_NOW_H_
