// Cores and memory of a job of any kind: what its request names, within what the server has.
// Thread-safe: pure functions.
#ifndef ATELIER_SERVER_JOBS_JOB_RESOURCES_H_
#define ATELIER_SERVER_JOBS_JOB_RESOURCES_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/jobs/error.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::jobs {

// Most cores of one job: the trainer's limit; a server may have more.
int MostCores(const SpecResolver::Options& limits);
// Most bytes of memory of one job.
std::int64_t MostMemory(const SpecResolver::Options& limits);

// Most nodes of one job.
inline constexpr int kMaxNodes = 16;

// Adds what is out of range to `wrong`, as `cores` and `memory_bytes` after `prefix`.
void CheckCores(const SpecResolver::Options& limits, absl::string_view prefix, int cores,
                std::vector<FieldViolation>* wrong);
void CheckMemory(const SpecResolver::Options& limits, absl::string_view prefix,
                 std::int64_t memory_bytes, std::vector<FieldViolation>* wrong);

// Both of them, as far as `message` has them.
template <typename Message>
void CheckResources(const SpecResolver::Options& limits, absl::string_view prefix,
                    const Message& message, std::vector<FieldViolation>* wrong) {
  if (message.has_cores()) CheckCores(limits, prefix, message.cores(), wrong);
  if (message.has_memory_bytes()) CheckMemory(limits, prefix, message.memory_bytes(), wrong);
}

// Fills in what the specification of a job leaves out: the server's cores for a job, and
// `memory_bytes` as far as it has them.
template <typename Spec>
void FillResources(const SpecResolver::Options& limits, std::int64_t memory_bytes, Spec* spec) {
  const int most = MostCores(limits);
  if (!spec->has_cores())
    spec->set_cores(limits.default_cores < most ? limits.default_cores : most);
  const std::int64_t room = MostMemory(limits);
  if (!spec->has_memory_bytes()) spec->set_memory_bytes(memory_bytes < room ? memory_bytes : room);
}

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_RESOURCES_H_
