// Keeps a job within the memory it was given. Two guards: allocations that go far beyond the limit
// fail at once, as std::bad_alloc in the caller, and a watch looks at what is really used
// several times a second. Thread-safe.
#ifndef ATELIER_SERVER_WORKER_MEMORY_LIMIT_H_
#define ATELIER_SERVER_WORKER_MEMORY_LIMIT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/worker/ticker.h"

namespace atelier::worker {

// Memory of this process that is resident and belongs to no file: what it allocated and has
// touched. The program itself and its libraries do not count. NOT_FOUND if /proc does not tell.
absl::StatusOr<std::int64_t> UsedMemoryBytes();

// From now on the process can allocate `bytes` more than it has, and some MiB for what is not the
// job's (RLIMIT_DATA: private writable memory, touched or not). Cannot be raised again. False, with
// a line in the log, if the system does not do it.
bool LimitAllocations(std::int64_t bytes);

// `2 GiB`, `1.5 GiB`, `300 MiB`: bytes for people.
std::string FormatBytes(std::int64_t bytes);

// Watches what this process uses from construction to destruction.
class MemoryWatch {
 public:
  // Calls `exceeded` once, on the watch's thread, when more than `limit_bytes` are used.
  MemoryWatch(std::int64_t limit_bytes, std::function<void(std::int64_t used_bytes)> exceeded);

 private:
  void Look();

  const std::int64_t limit_bytes_;
  std::function<void(std::int64_t)> exceeded_;  // Empty once called.
  Ticker ticker_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_MEMORY_LIMIT_H_
