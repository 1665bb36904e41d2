// Starts worker processes on this machine. A worker is a session and process group of its own,
// runs at lower priority than the server, pinned to as many processors as it has cores, is the
// kernel's first choice when memory runs out, and stays alive when the server dies.
#ifndef ATELIER_SERVER_PROCESSES_PROCESS_EXECUTOR_H_
#define ATELIER_SERVER_PROCESSES_PROCESS_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"
#include "server/jobs/executor.h"
#include "server/launch/worker_command.h"
#include "server/processes/cpu_pool.h"
#include "server/processes/process_handle.h"
#include "server/processes/spare_descriptors.h"

namespace atelier::processes {

// Thread-safe. The process is started as server/launch/worker_command.h says. What it prints is
// appended to <attempt_dir>/worker.log; the worker itself bounds the size of that file.
//
// Processes are watched by pidfd in one thread. The memory limit is the worker's to keep: it learns
// it from its assignment.
class ProcessExecutor final : public jobs::Executor {
 public:
  struct Options {
    launch::WorkerCommand::Options worker;
    // How many processes the kernel has ended for want of memory so far, as far as that can be
    // told; may be empty.
    std::function<std::optional<std::int64_t>()> oom_kills = {};
    int nice = 10;            // Added to the server's niceness, 0 to 19.
    int oom_score_adj = 500;  // How much sooner than others the kernel ends it, 0 to 1000.
  };

  // FAILED_PRECONDITION if the worker's program is not there; UNAVAILABLE if the system refuses.
  static absl::StatusOr<std::unique_ptr<ProcessExecutor>> Create(Options options);
  // Stops watching; the processes go on, for the next server to adopt.
  ~ProcessExecutor() override;
  ProcessExecutor(const ProcessExecutor&) = delete;
  ProcessExecutor& operator=(const ProcessExecutor&) = delete;

  void SetStatusCallback(StatusCallback callback) override;
  absl::StatusOr<jobs::Launched> Launch(const jobs::LaunchRequest& request) override;
  // Looks through the processes of this machine for one with the command line that Launch gives and
  // with the token.
  absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                   const std::string& token) override;
  // A handle must not be adopted while it is watched.
  absl::StatusOr<jobs::LaunchStatus> Adopt(const std::string& handle) override;
  void Kill(const std::string& handle) override;

 private:
  struct Process {
    ProcessHandle handle;
    int pidfd = -1;
    std::vector<int> cpus;  // Of the pool.
  };

  ProcessExecutor(Options options, launch::WorkerCommand worker, int wake_fd);

  absl::StatusOr<jobs::Launched> Start(const jobs::LaunchRequest& request);
  void StartWatching(Process process);
  // What a process's end means.
  jobs::ProcessEnd Judge(std::string how, int code, bool may_be_memory) ABSL_LOCKS_EXCLUDED(mutex_);
  void Watch();
  // Takes what has ended out of the watch.
  std::vector<Process> AwaitEnded();
  void Wake();

  // Constant after construction.
  const Options options_;
  const launch::WorkerCommand worker_;
  const int wake_fd_;  // An eventfd that interrupts the watch.

  Mutex mutex_;
  StatusCallback status_callback_ ABSL_GUARDED_BY(mutex_);
  CpuPool cpus_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Process> processes_ ABSL_GUARDED_BY(mutex_);  // By handle.
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the kernel's kills for want of memory, those that are accounted for.
  std::int64_t oom_kills_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  SpareDescriptors spare_;

  std::thread watcher_;
};

}  // namespace atelier::processes

#endif  // ATELIER_SERVER_PROCESSES_PROCESS_EXECUTOR_H_
