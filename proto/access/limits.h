// What one caller may have or do at most. Thread-safe: values and pure functions.
#ifndef ATELIER_PROTO_ACCESS_LIMITS_H_
#define ATELIER_PROTO_ACCESS_LIMITS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace atelier::access {

// Nothing: no limit.
struct Limits {
  std::optional<std::int64_t> jobs = {};      // Its jobs that have not ended.
  std::optional<std::int64_t> running = {};   // Those of them that run; others wait.
  std::optional<std::int64_t> cores = {};     // Those that its running jobs have together.
  std::optional<std::int64_t> priority = {};  // The highest that it may give a job.
  std::optional<std::int64_t> data = {};      // Bytes of its data sets and uploads together.
  std::optional<std::int64_t> models = {};    // Bytes of its models' archives together.
  std::optional<std::int64_t> calls = {};     // Its calls in flight that are no streams.
  std::optional<std::int64_t> streams = {};   // Its streams that are open.
};

// A limit as the access file writes it.
struct LimitField {
  absl::string_view name;
  std::optional<std::int64_t> Limits::*value;
  bool bytes;  // Written as a size, such as 20GiB.
};

// All of them, in the order of Limits.
absl::Span<const LimitField> LimitFields();

// The limits of `own` and, where it sets none, those of `general`.
Limits Combined(const Limits& own, const Limits& general);

}  // namespace atelier::access

#endif  // ATELIER_PROTO_ACCESS_LIMITS_H_
