// Starts worker processes on this machine. A worker is a session and process group of its own,
// runs at lower priority than the server, pinned to as many processors as it has cores, is the
// kernel's first choice when memory runs out, and stays alive when the server dies.
#ifndef ATELIER_SERVER_LAUNCH_PROCESS_EXECUTOR_H_
#define ATELIER_SERVER_LAUNCH_PROCESS_EXECUTOR_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/executor.h"
#include "server/jobs/mutex.h"
#include "server/launch/cpu_pool.h"
#include "server/launch/process_handle.h"

namespace atelier::launch {

// Thread-safe. The process is started as
//   <worker_binary> --server=<address> [--server_certificate=<file>] --job=<job> --attempt=<n>
// with its token in the environment (ATELIER_WORKER_TOKEN), which only the same user can read, and
// the arithmetic libraries' own threads turned off. What it prints is appended to
// <attempt_dir>/worker.log; the worker itself bounds the size of that file.
//
// Processes are watched by pidfd in one thread. The memory limit is the worker's to keep: it learns
// it from its assignment.
class ProcessExecutor final : public jobs::Executor {
 public:
  struct Options {
    std::string worker_binary;  // Empty: `atelier-worker` beside the running program.
    // The server's certificate, where workers report by TLS: they believe no other. A file.
    std::string server_certificate = {};
    int nice = 10;            // Added to the server's niceness, 0 to 19.
    int oom_score_adj = 500;  // How much sooner than others the kernel ends it, 0 to 1000.
  };

  // FAILED_PRECONDITION if the worker's program is not there; UNAVAILABLE if the system refuses.
  static absl::StatusOr<std::unique_ptr<ProcessExecutor>> Create(Options options);
  // Stops watching; the processes go on, for the next server to adopt.
  ~ProcessExecutor() override;
  ProcessExecutor(const ProcessExecutor&) = delete;
  ProcessExecutor& operator=(const ProcessExecutor&) = delete;

  // Where workers dial: `unix:/absolute/path` or `host:port`. Before the first Launch.
  void SetServerAddress(std::string address);

  void SetExitCallback(ExitCallback callback) override;
  absl::StatusOr<std::string> Launch(const jobs::LaunchRequest& request) override;
  // A handle must not be adopted while it is watched.
  absl::Status Adopt(const std::string& handle) override;
  void Kill(const std::string& handle) override;

 private:
  struct Process {
    ProcessHandle handle;
    int pidfd = -1;
    std::vector<int> cpus;  // Of the pool.
  };

  ProcessExecutor(Options options, int wake_fd);

  void StartWatching(Process process);
  void Watch();
  // Takes what has ended out of the watch.
  std::vector<Process> AwaitEnded();
  void Wake();

  // Constant after construction.
  const Options options_;
  const int wake_fd_;  // An eventfd that interrupts the watch.

  jobs::Mutex mutex_;
  std::string server_address_ ABSL_GUARDED_BY(mutex_);
  ExitCallback exit_callback_ ABSL_GUARDED_BY(mutex_);
  CpuPool cpus_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Process> processes_ ABSL_GUARDED_BY(mutex_);  // By handle.
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread watcher_;
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_PROCESS_EXECUTOR_H_
