#include "server/base/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cmath>

#include "server/base/cgroup.h"

namespace atelier {

int UsableCores() {
  int cores = 1;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) cores = CPU_COUNT(&allowed);
  if (const auto quota = ControlGroup::OfThisProcess().cpu_limit_cores()) {
    cores = std::min(cores, static_cast<int>(std::ceil(*quota)));
  }
  return std::max(cores, 1);
}

std::int64_t UsableMemory() {
  struct sysinfo machine;
  if (sysinfo(&machine) != 0) return 0;
  const auto total = static_cast<std::int64_t>(machine.totalram) * machine.mem_unit;
  return std::min(total, ControlGroup::OfThisProcess().memory_limit_bytes().value_or(total));
}

std::int64_t MemoryForJobs(std::int64_t usable) {
  constexpr std::int64_t kLeast = std::int64_t{256} << 20;
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  return std::max(usable - std::clamp(usable / 8, kLeast, kMost), std::min(usable, kLeast));
}

void RaiseFileLimit() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace atelier
