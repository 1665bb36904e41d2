#include "server/processes/cpu_pool.h"

#include <sched.h>

#include <algorithm>
#include <cstddef>

namespace atelier::processes {

std::vector<int> AllowedCpus(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(pid, sizeof(set), &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

CpuPool::CpuPool(const std::vector<int>& cpus) {
  for (int cpu : cpus) users_[cpu] = 0;
}

std::vector<int> CpuPool::Take(int count) {
  std::vector<int> cpus;
  for (const auto& [cpu, users] : users_) cpus.push_back(cpu);
  std::stable_sort(cpus.begin(), cpus.end(),
                   [this](int a, int b) { return users_.at(a) < users_.at(b); });
  cpus.resize(std::min(cpus.size(), static_cast<std::size_t>(std::max(count, 1))));
  std::sort(cpus.begin(), cpus.end());
  Hold(cpus);
  return cpus;
}

void CpuPool::Hold(const std::vector<int>& cpus) {
  for (int cpu : cpus) {
    if (const auto found = users_.find(cpu); found != users_.end()) ++found->second;
  }
}

void CpuPool::Release(const std::vector<int>& cpus) {
  for (int cpu : cpus) {
    if (const auto found = users_.find(cpu); found != users_.end()) --found->second;
  }
}

}  // namespace atelier::processes
