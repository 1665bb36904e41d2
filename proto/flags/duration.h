// Durations on command lines, for all three programs. Thread-safe: pure functions.
#ifndef ATELIER_PROTO_FLAGS_DURATION_H_
#define ATELIER_PROTO_FLAGS_DURATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::flags {

// Reads `8` (seconds), `0.5`, `8s`, `500ms`, `2m`, `1h30m`; `inf` is infinite. INVALID_ARGUMENT
// with a sentence for any other text.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// The type of an Abseil flag that ParseDuration reads.
struct Duration {
  absl::Duration value;
};
bool AbslParseFlag(absl::string_view text, Duration* duration, std::string* error);
std::string AbslUnparseFlag(const Duration& duration);

}  // namespace atelier::flags

#endif  // ATELIER_PROTO_FLAGS_DURATION_H_
