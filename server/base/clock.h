// The time, as everything in server/ asks for it, so that tests can set it.
#ifndef ATELIER_SERVER_BASE_CLOCK_H_
#define ATELIER_SERVER_BASE_CLOCK_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace atelier {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time, for people and records. May jump.
  virtual absl::Time Now() const = 0;
  // Time since some fixed moment; never goes back. For leases and durations.
  virtual absl::Duration Elapsed() const = 0;
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_CLOCK_H_
