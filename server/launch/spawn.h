// Starts a program from a server that has many threads, without handing it anything of the
// server's: no open files, no blocked signals, no terminal. Thread-safe: a free function.
#ifndef ATELIER_SERVER_LAUNCH_SPAWN_H_
#define ATELIER_SERVER_LAUNCH_SPAWN_H_

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace atelier::launch {

struct SpawnRequest {
  std::vector<std::string> arguments;    // The first is the program's path.
  std::vector<std::string> environment;  // NAME=value, all there is.
  std::string output_path = {};          // Standard output and error are appended here.
  // In place of that: descriptors of this process for standard input, output and error, each above
  // 2. The caller keeps them.
  std::optional<std::array<int, 3>> streams = {};
  std::vector<int> cpus;  // Processors it may run on; empty: as the server.
  int nice = 0;           // Added to the server's own niceness; 19 at most in all.
  int oom_score_adj = 0;  // -1000 to 1000; below the server's own needs privileges.
};

// Starts the program as leader of a new session and process group and answers with its process id
// once it runs. The caller collects it (waitpid) when it has ended. UNAVAILABLE if the program or
// the output file cannot be opened or the machine has no room for a process.
absl::StatusOr<pid_t> Spawn(const SpawnRequest& request);

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_SPAWN_H_
