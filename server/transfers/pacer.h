// Holds what is sent to a rate: says after each piece how long its sender has to wait.
#ifndef ATELIER_SERVER_TRANSFERS_PACER_H_
#define ATELIER_SERVER_TRANSFERS_PACER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"

namespace atelier::transfers {

// Thread-safe.
class Pacer {
 public:
  // Bytes per second of all senders together; 0 for no limit. The clock must live as long.
  Pacer(std::int64_t rate, const Clock* clock) : rate_(rate), clock_(clock) {}

  // Takes a piece into account: the time until the next one is due. UNAVAILABLE for a piece that
  // comes so early that its sender cannot have waited; it does not count.
  absl::StatusOr<absl::Duration> Take(std::int64_t bytes);

 private:
  const std::int64_t rate_;
  const Clock* const clock_;
  Mutex mutex_;
  absl::Duration due_ ABSL_GUARDED_BY(mutex_);  // When all that was taken has had its time.
};

}  // namespace atelier::transfers

#endif  // ATELIER_SERVER_TRANSFERS_PACER_H_
