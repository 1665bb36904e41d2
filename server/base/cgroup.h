// The control group that this process is confined to: what it may use and what it has used, in
// version 1's and version 2's hierarchies. Thread-safe: reads the files anew at every call.
#ifndef ATELIER_SERVER_BASE_CGROUP_H_
#define ATELIER_SERVER_BASE_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace atelier {

// Bytes that reached or left storage devices.
struct DiskBytes {
  std::int64_t read = 0;
  std::int64_t written = 0;
};

// Limits are the tightest of the process's own group and of those above it. Usage is counted where
// the process is confined: in the nearest of them that has a limit, else in the container's if it
// runs in one. Elsewhere nothing is known, and the operating system's own numbers count.
class ControlGroup {
 public:
  // `root` stands before /proc and /sys; empty but in tests.
  static ControlGroup OfThisProcess(const std::string& root = "");

  // Nothing if there is no limit.
  std::optional<double> cpu_limit_cores() const;
  std::optional<std::int64_t> memory_limit_bytes() const;

  // Processor time used by all processes of the group, seconds.
  std::optional<double> cpu_seconds() const;
  // Memory in use, without the pages of files that were not used lately.
  std::optional<std::int64_t> memory_used_bytes() const;
  std::optional<DiskBytes> disk_bytes() const;
  // How many processes the kernel has ended since memory ran out: of this process's group, or of
  // the machine where the group does not count them.
  std::optional<std::int64_t> oom_kills() const;

 private:
  // One controller's folders, from the process's own group up to the top of what is mounted.
  struct Chain {
    std::vector<std::string> folders;
    bool in_container = false;  // The top is not the machine's.
  };

  static Chain FindChain(const std::string& mount, const std::string& group);
  // The folder in which usage is counted; empty if the process is not confined.
  static std::string CountingFolder(const Chain& chain);

  std::string root_;
  // In version 2 all of them are the same.
  Chain cpu_;
  Chain cpu_usage_;
  Chain memory_;
  Chain disk_;
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_CGROUP_H_
