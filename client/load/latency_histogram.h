// Many durations in little memory: counts in buckets whose width grows with the duration, so that
// every percentile is known to 0.8 %. Used by one thread at a time.
#ifndef ATELIER_CLIENT_LOAD_LATENCY_HISTOGRAM_H_
#define ATELIER_CLIENT_LOAD_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace atelier::client {

class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative durations count as zero, those over two hours as two hours.
  void Record(absl::Duration duration);

  std::int64_t count() const { return count_; }

  // What `percent` of the durations do not exceed, 0 < percent <= 100: at most 0.8 % too much,
  // never too little. Zero if there are none.
  absl::Duration Percentile(double percent) const;
  // Exact; zero if there are none.
  absl::Duration max() const { return absl::Nanoseconds(max_); }
  absl::Duration mean() const;

 private:
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  std::int64_t max_ = 0;  // Nanoseconds.
  double sum_ = 0;        // Nanoseconds.
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_LOAD_LATENCY_HISTOGRAM_H_
