// Which processors the worker processes are pinned to: each gets as many as it has cores, the least
// used ones first, so that jobs side by side do not share a processor while another idles. Not
// thread-safe; the executor's lock guards it.
#ifndef ATELIER_SERVER_PROCESSES_CPU_POOL_H_
#define ATELIER_SERVER_PROCESSES_CPU_POOL_H_

#include <sys/types.h>

#include <map>
#include <vector>

namespace atelier::processes {

// Processors that a process (0: this one) may run on, ascending; empty if that cannot be told.
std::vector<int> AllowedCpus(pid_t pid);

class CpuPool {
 public:
  explicit CpuPool(const std::vector<int>& cpus);

  // The `count` least used processors, ascending, all of them if there are not so many; each then
  // has one user more.
  std::vector<int> Take(int count);

  // The processors have one user more: a process that was pinned to them before. Those that are not
  // of the pool are left out.
  void Hold(const std::vector<int>& cpus);

  // Undoes Take or Hold.
  void Release(const std::vector<int>& cpus);

 private:
  std::map<int, int> users_;  // By processor.
};

}  // namespace atelier::processes

#endif  // ATELIER_SERVER_PROCESSES_CPU_POOL_H_
