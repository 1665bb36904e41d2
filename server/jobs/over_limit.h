// Errors for callers who are over a limit of theirs. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_JOBS_OVER_LIMIT_H_
#define ATELIER_SERVER_JOBS_OVER_LIMIT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::jobs {

inline constexpr absl::string_view kQuotaFailureUrl = "type.googleapis.com/google.rpc.QuotaFailure";
inline constexpr absl::string_view kRetryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";

// One limit that is exceeded.
struct Excess {
  absl::string_view caller;  // Its name.
  absl::string_view limit;   // As the access file calls it.
  std::int64_t most = 0;     // What it says.
  absl::string_view what;    // What there would be: `21 jobs that have not ended`.
  absl::string_view remedy;  // A sentence: what the caller can do.
  absl::Duration retry = absl::ZeroDuration();  // When to come back; zero if waiting is no use.
};

// RESOURCE_EXHAUSTED (CALLER_LIMIT) with google.rpc.QuotaFailure, and RetryInfo where waiting
// helps.
absl::Status OverLimit(const Excess& excess);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_OVER_LIMIT_H_
