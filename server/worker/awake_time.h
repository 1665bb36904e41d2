// Time for leases: the steady clock's, without the spans in which this process was held up (stopped
// by a signal, its machine frozen). Nothing could have been heard or said in these.
#ifndef ATELIER_SERVER_WORKER_AWAKE_TIME_H_
#define ATELIER_SERVER_WORKER_AWAKE_TIME_H_

#include <functional>
#include <utility>

#include "absl/time/time.h"
#include "server/worker/steady_now.h"

namespace atelier::worker {

// Not thread-safe. Has to be asked at least every kLongestWait while nothing holds the process up.
class AwakeTime {
 public:
  static constexpr absl::Duration kLongestWait = absl::Seconds(1);

  explicit AwakeTime(std::function<absl::Duration()> steady = &SteadyNow)
      : steady_(std::move(steady)), last_(steady_()) {}

  absl::Duration Now() {
    const absl::Duration now = steady_();
    // Twice the wait, since a busy machine is late as well.
    if (now - last_ > 2 * kLongestWait) held_up_ += now - last_ - kLongestWait;
    last_ = now;
    return now - held_up_;
  }

 private:
  const std::function<absl::Duration()> steady_;
  absl::Duration last_;
  absl::Duration held_up_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_AWAKE_TIME_H_
