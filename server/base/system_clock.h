// The clock of this machine.
#ifndef ATELIER_SERVER_BASE_SYSTEM_CLOCK_H_
#define ATELIER_SERVER_BASE_SYSTEM_CLOCK_H_

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/clock.h"

namespace atelier {

// Thread-safe.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Elapsed() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_SYSTEM_CLOCK_H_
