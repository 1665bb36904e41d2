// Names one process of this machine for good: its id, the moment it was started, and the boot of
// the machine. A process id alone is given to somebody else after a while. Values; thread-safe.
#ifndef ATELIER_SERVER_PROCESSES_PROCESS_HANDLE_H_
#define ATELIER_SERVER_PROCESSES_PROCESS_HANDLE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::processes {

struct ProcessHandle {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // Since boot, as /proc/<pid>/stat counts.
  std::string boot_id;

  // The handle of the process that has this id now, be it one that has ended and only waits to be
  // collected by its parent. NOT_FOUND if none has.
  static absl::StatusOr<ProcessHandle> Of(pid_t pid);

  // Reads what ToString wrote; INVALID_ARGUMENT for anything else.
  static absl::StatusOr<ProcessHandle> Parse(absl::string_view text);
  std::string ToString() const;

  // True while this very process runs: until it ends, collected or not.
  bool Runs() const;

  friend bool operator==(const ProcessHandle&, const ProcessHandle&) = default;
};

}  // namespace atelier::processes

#endif  // ATELIER_SERVER_PROCESSES_PROCESS_HANDLE_H_
