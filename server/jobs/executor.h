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
  // Called once for every process that was launched or adopted, when it has ended, with a sentence
  // that says how ("exited with code 3", "killed by signal 9"). `handle` is the one Launch gave.
  // Called from the executor's own thread, never from within Launch, Adopt or Kill.
  using ExitCallback = std::function<void(const std::string& handle, const std::string& how)>;

  virtual ~Executor() = default;

  // Must be called once, before the first Launch or Adopt.
  virtual void SetExitCallback(ExitCallback callback) = 0;

  // Starts a process and answers with its handle: opaque, stored by the controller, valid across
  // restarts of the server. UNAVAILABLE or INTERNAL when it cannot be started.
  virtual absl::StatusOr<std::string> Launch(const LaunchRequest& request) = 0;

  // Watches a process that an earlier server started. NOT_FOUND when it is no longer there.
  virtual absl::Status Adopt(const std::string& handle) = 0;

  // Ends a process and everything it started, at once. Ending one that has ended does nothing.
  virtual void Kill(const std::string& handle) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXECUTOR_H_
