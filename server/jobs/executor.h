// Where worker processes come from. The controller asks for a process with given resources; an
// executor only decides where it starts. A process may outlive the server that started it: the next
// server adopts it by its handle.
#ifndef ATELIER_SERVER_JOBS_EXECUTOR_H_
#define ATELIER_SERVER_JOBS_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::jobs {

// What a worker process may use.
struct ResourceRequest {
  int cores = 1;
  std::int64_t memory_bytes = 0;  // 0: no limit.
  int gpus = 0;
};

// How a worker process ended.
struct ProcessEnd {
  enum class Cause {
    kUnknown,            // Of itself, or somebody ended it.
    kServerUnreachable,  // It found no server for its lease, wrote a checkpoint and ended.
    kOutOfMemory,        // Over its limit, or ended by the kernel since memory ran out.
  };
  std::string how;  // A sentence's end: "exited with code 3", "killed by signal 9 (SIGKILL)".
  Cause cause = Cause::kUnknown;
};

// One worker process to start.
struct LaunchRequest {
  std::string job_id;
  int attempt = 1;
  std::string token;        // Secret; must not appear in the process's command line.
  std::string attempt_dir;  // Absolute, made by the executor if missing; the log goes there.
  ResourceRequest resources;
};

// Thread-safe.
class Executor {
 public:
  // Called once for every process that was launched or adopted, when it has ended. `handle` is the
  // one Launch gave. Called from the executor's own thread, never from within Launch, Adopt or
  // Kill.
  using ExitCallback = std::function<void(const std::string& handle, const ProcessEnd& end)>;

  virtual ~Executor() = default;

  // Must be called once, before the first Launch or Adopt.
  virtual void SetExitCallback(ExitCallback callback) = 0;

  // Starts a process and answers with its handle: opaque, stored by the controller, valid across
  // restarts of the server. UNAVAILABLE or INTERNAL when it cannot be started.
  virtual absl::StatusOr<std::string> Launch(const LaunchRequest& request) = 0;

  // The handle of a process that an earlier server launched for this attempt, with this token, and
  // ended before it could store the handle. NOT_FOUND when there is none.
  virtual absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                           const std::string& token) = 0;

  // Watches a process that an earlier server started. NOT_FOUND when it is no longer there.
  virtual absl::Status Adopt(const std::string& handle) = 0;

  // Ends a process and everything it started, at once. Ending one that has ended does nothing.
  virtual void Kill(const std::string& handle) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXECUTOR_H_
