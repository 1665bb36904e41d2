// Where worker processes come from. The controller asks for a process with given resources; an
// executor only decides where it starts: on this machine, or where an engine that schedules jobs of
// its own finds room for it. A process may outlive the server that started it: the next server
// adopts it by its handle.
#ifndef ATELIER_SERVER_JOBS_EXECUTOR_H_
#define ATELIER_SERVER_JOBS_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace atelier::jobs {

// What a worker process may use, and how many there are to be.
struct ResourceRequest {
  int cores = 1;
  std::int64_t memory_bytes = 0;  // 0: no limit.
  int gpus = 0;
  int nodes = 1;  // Processes of the attempt, each with all of this; an engine's each on a node.
};

// The engine has the launch but does not run it, not yet or not now. A lease does not run
// meanwhile.
struct LaunchPending {
  std::string why;  // A sentence's end, with the engine's own word: "Slurm job 12 waits: Priority".
  std::string reason = {};  // That word alone; empty if the engine has said none.
};

// The process runs.
struct LaunchRunning {
  std::string where = {};               // For people: "node n2, Slurm job 12". Empty: this machine.
  std::vector<std::string> nodes = {};  // The same nodes alone.
};

// How a worker process ended.
struct ProcessEnd {
  enum class Cause {
    kUnknown,            // Of itself, or somebody ended it.
    kServerUnreachable,  // It found no server for its lease, wrote a checkpoint and ended.
    kOutOfMemory,        // Over its limit, or ended by the kernel since memory ran out.
    kPreempted,          // The engine gave its place to somebody else.
    kRefused,            // The engine will never run it as it was asked for.
  };
  std::string how;  // A sentence's end: "exited with code 3", "killed by signal 9 (SIGKILL)".
  Cause cause = Cause::kUnknown;
};

// Where a launch stands.
using LaunchStatus = std::variant<LaunchPending, LaunchRunning, ProcessEnd>;

// One worker process to start.
struct LaunchRequest {
  std::string job_id;
  int attempt = 1;
  std::string token;        // Secret; must not appear in the process's command line.
  std::string attempt_dir;  // Absolute, made by the executor if missing; the log goes there.
  ResourceRequest resources;
  std::vector<std::string> arguments = {};  // For the engine, as CheckArguments let them pass.
};

// A process that was started, or that an engine has taken to start it.
struct Launched {
  std::string handle;  // Opaque, stored by the controller, valid across restarts of the server.
  LaunchStatus status = LaunchRunning();  // Pending or running.
};

// Thread-safe.
class Executor {
 public:
  // Called whenever a launch that was made or adopted stands otherwise than was said of it last,
  // and once, as the last call of all, with its end. Called from the executor's own thread, never
  // from within another function of it.
  using StatusCallback = std::function<void(const std::string& handle, const LaunchStatus& status)>;

  virtual ~Executor() = default;

  // Must be called once, before the first Launch or Adopt.
  virtual void SetStatusCallback(StatusCallback callback) = 0;

  // How many launches there may be at once; nothing if that is as many as this machine has cores
  // and memory for.
  virtual std::optional<int> max_launches() const { return std::nullopt; }

  // Whether jobs can be given a GPU beyond those of this machine.
  virtual bool has_gpus() const { return false; }

  // INVALID_ARGUMENT with what is wrong with arguments that a user gives the engine for a job,
  // without a full stop.
  virtual absl::Status CheckArguments(absl::Span<const std::string> arguments) const {
    if (arguments.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "This server starts workers on its own machine, without an engine that takes arguments");
  }

  // Starts a process, or has it started. UNAVAILABLE or INTERNAL when that cannot be done now, in
  // which case nothing is left of it; INVALID_ARGUMENT when it never can, as it is asked for.
  virtual absl::StatusOr<Launched> Launch(const LaunchRequest& request) = 0;

  // The handle of a process that an earlier server launched for this attempt, with this token, and
  // ended before it could store the handle. NOT_FOUND when there is none.
  virtual absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                           const std::string& token) = 0;

  // Watches a process that an earlier server started, and says how it stands; of one that has ended
  // nothing more is told. NOT_FOUND when it is no longer there, and nothing is known of its end.
  virtual absl::StatusOr<LaunchStatus> Adopt(const std::string& handle) = 0;

  // Every process of an earlier server that is still wanted is adopted. What else there is of that
  // server's may be ended.
  virtual void Recovered() {}

  // Ends a process and everything it started, at once, or makes the executor try until it has:
  // never waits. Ending one that has ended does nothing.
  virtual void Kill(const std::string& handle) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXECUTOR_H_
