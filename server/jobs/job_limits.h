// What jobs of one creator may have at most. Values; thread-safe.
#ifndef ATELIER_SERVER_JOBS_JOB_LIMITS_H_
#define ATELIER_SERVER_JOBS_JOB_LIMITS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace atelier::jobs {

// Nothing: no limit.
struct JobLimits {
  std::optional<std::int64_t> jobs = {};      // That have not ended.
  std::optional<std::int64_t> running = {};   // Of those; others wait.
  std::optional<std::int64_t> cores = {};     // Of the running ones together.
  std::optional<std::int64_t> priority = {};  // The highest.
  std::optional<std::int64_t> data = {};      // Bytes of data sets and uploads.
  std::optional<std::int64_t> models = {};    // Bytes of models.
};

// The limits of a creator, at this moment. Thread-safe; never waits.
using LimitsOf = std::function<JobLimits(const std::string& creator)>;

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_LIMITS_H_
