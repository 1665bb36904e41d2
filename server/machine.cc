#include "server/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::server {
namespace {

// The first line of a file of this process's control group, in version 2's hierarchy; empty if
// there is none. Inside a container the group is its root.
std::string ReadCgroup(const std::string& file) {
  std::string group;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    absl::string_view path = line;
    if (absl::ConsumePrefix(&path, "0::")) group = std::string(path);
  }
  for (const std::string& folder : {"/sys/fs/cgroup" + group, std::string("/sys/fs/cgroup")}) {
    std::string line;
    if (std::getline(std::ifstream(absl::StrCat(folder, "/", file)), line)) return line;
  }
  return "";
}

}  // namespace

int UsableCores() {
  int cores = 1;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) cores = CPU_COUNT(&allowed);
  const std::string quota = ReadCgroup("cpu.max");  // "<microseconds> <of each so many>" or "max …"
  const std::size_t space = quota.find(' ');
  std::int64_t part = 0;
  std::int64_t whole = 0;
  if (space != std::string::npos && absl::SimpleAtoi(quota.substr(0, space), &part) &&
      absl::SimpleAtoi(quota.substr(space + 1), &whole) && whole > 0) {
    cores = std::min<int>(cores, static_cast<int>((part + whole - 1) / whole));
  }
  return std::max(cores, 1);
}

std::int64_t UsableMemory() {
  struct sysinfo machine;
  if (sysinfo(&machine) != 0) return 0;
  const auto total = static_cast<std::int64_t>(machine.totalram) * machine.mem_unit;
  std::int64_t limit = 0;
  if (!absl::SimpleAtoi(ReadCgroup("memory.max"), &limit) || limit <= 0) return total;
  return std::min(total, limit);
}

void RaiseFileLimit() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace atelier::server
