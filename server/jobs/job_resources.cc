#include "server/jobs/job_resources.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace atelier::jobs {
namespace {

constexpr int kMaxCores = 64;
constexpr std::int64_t kMinMemory = std::int64_t{256} << 20;

}  // namespace

int MostCores(const SpecResolver::Options& limits) { return std::min(limits.max_cores, kMaxCores); }

std::int64_t MostMemory(const SpecResolver::Options& limits) {
  return limits.memory_bytes > 0 ? limits.memory_bytes : std::numeric_limits<std::int64_t>::max();
}

void CheckCores(const SpecResolver::Options& limits, absl::string_view prefix, int cores,
                std::vector<FieldViolation>* wrong) {
  if (cores >= 1 && cores <= MostCores(limits)) return;
  wrong->push_back(
      {absl::StrCat(prefix, "cores"), absl::StrCat("The number of cores is ", cores,
                                                   "; it must be 1 to ", MostCores(limits), ".")});
}

void CheckMemory(const SpecResolver::Options& limits, absl::string_view prefix,
                 std::int64_t memory_bytes, std::vector<FieldViolation>* wrong) {
  if (memory_bytes >= kMinMemory && memory_bytes <= MostMemory(limits)) return;
  wrong->push_back(
      {absl::StrCat(prefix, "memory_bytes"),
       absl::StrCat("The memory is ", memory_bytes, " bytes; it must be ", kMinMemory,
                    " (256 MiB) to ", MostMemory(limits),
                    limits.memory_bytes > 0 ? ", what the server has for jobs." : ".")});
}

}  // namespace atelier::jobs
