// When requests of many independent callers arrive: the times between two are exponentially
// distributed. The same rate and seed give the same arrivals. Used by one thread.
#ifndef ATELIER_CLIENT_LOAD_POISSON_ARRIVALS_H_
#define ATELIER_CLIENT_LOAD_POISSON_ARRIVALS_H_

#include <cmath>
#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace atelier::client {

class PoissonArrivals {
 public:
  // `rate` arrivals a second on average, above 0.
  explicit PoissonArrivals(double rate, std::uint64_t seed = 1) : rate_(rate), random_(seed) {}

  // When the next one arrives, counted from the beginning; never before the one before.
  absl::Duration Next() {
    constexpr double kUnit = 1.0 / 9007199254740992.0;  // 2^-53
    const double uniform = static_cast<double>(random_() >> 11) * kUnit;
    seconds_ -= std::log1p(-uniform) / rate_;
    return absl::Seconds(seconds_);
  }

 private:
  const double rate_;
  std::mt19937_64 random_;
  double seconds_ = 0;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_LOAD_POISSON_ARRIVALS_H_
