// How a worker is started, whichever executor does it: its command line, its environment, and what
// its exit codes say.
#ifndef ATELIER_SERVER_LAUNCH_WORKER_COMMAND_H_
#define ATELIER_SERVER_LAUNCH_WORKER_COMMAND_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/worker_exit_code.h"
#include "server/jobs/executor.h"

namespace atelier::launch {

// Immutable, hence thread-safe. The command line is
//   <program> --server=<address> --job=<job> --attempt=<n> [--server_certificate=<file>]
//             [--sandbox=<mode>] [--cache_dir=<folder> --cache_bytes=<n>]
//             [--ranks=<n> [--rank_network=<network>]]
// The token is in the environment (ATELIER_WORKER_TOKEN), which only the same user can read, the
// arithmetic libraries' own threads are turned off, and of the server's own environment there is
// only what LibTorch, gRPC and the loader read (see environment.h).
class WorkerCommand {
 public:
  struct Options {
    std::string program;  // Empty: `atelier-worker` beside the running program.
    // Where workers dial: `unix:/absolute/path` or `host:port`.
    std::string server_address;
    // The server's certificate, where workers report by TLS: they believe no other. A file.
    std::string server_certificate;
    // The same as text instead of a file: for machines that have no such file.
    std::string certificate_text = {};
    std::string sandbox = {};  // best_effort, required or off; empty: the worker's default.
    // Where workers that do not see the data directory keep what they fetch, and how many bytes of
    // data sets; empty if all see it. With it, workers send their log, wherever they run.
    std::string cache_dir = {};
    std::int64_t cache_bytes = 0;
    // In which the processes of an attempt on several machines reach each other, such
    // as 10.0.0.0/8; empty: they are all on this machine.
    std::string rank_network = {};
  };

  // FAILED_PRECONDITION if the worker's program is not there.
  static absl::StatusOr<WorkerCommand> Create(Options options);

  // The first is the program's path.
  std::vector<std::string> Arguments(const jobs::LaunchRequest& request) const;
  // NAME=value, all there is.
  std::vector<std::string> Environment(const std::string& token) const;
  // Those of them that are every worker's, on whatever machine.
  std::vector<std::string> OwnVariables() const;
  // Whether workers send their log, so that nothing else has to take what they print.
  bool sends_log() const { return !options_.cache_dir.empty(); }

  // Those of them that name an attempt, as they stand in a list of arguments or of variables.
  static std::string JobArgument(const std::string& job);
  static std::string AttemptArgument(int attempt);
  static std::string TokenVariable(const std::string& token);

  // The exit code of a process of several whose attempt lost another one, whose end says more.
  // Lower than the codes that say why: Slurm tells the highest of all.
  static constexpr int kRankLostCode = worker::kRankLost;

  // What the end of a worker means that exited with a code of its own; `how` is a sentence's end.
  static jobs::ProcessEnd EndOf(std::string how, int exit_code);

 private:
  explicit WorkerCommand(Options options) : options_(std::move(options)) {}

  Options options_;
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_WORKER_COMMAND_H_
