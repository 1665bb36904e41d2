// Runs a program to its end, within bounds: no shell, no terminal, nothing of the server's but what
// is given to it. Thread-safe: a free function.
#ifndef ATELIER_SERVER_LAUNCH_COMMAND_H_
#define ATELIER_SERVER_LAUNCH_COMMAND_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace atelier::launch {

struct Command {
  std::vector<std::string> arguments;    // The first is the program's path.
  std::vector<std::string> environment;  // NAME=value, all there is.
  std::string input = {};                // Its standard input.
  absl::Duration timeout = absl::Seconds(10);
  std::size_t max_output = std::size_t{1} << 20;  // Bytes, of output and errors each.
};

struct CommandResult {
  int exit_code = 0;
  std::string output;  // Standard output.
  std::string errors;  // Standard error.
};

// How a program that exits ended. UNAVAILABLE if it could not be started; DEADLINE_EXCEEDED,
// RESOURCE_EXHAUSTED or ABORTED if it took too long, printed too much or was killed: it and what it
// started are gone then, but what it was to do may be done.
absl::StatusOr<CommandResult> RunCommand(const Command& command);

// RunCommand, or in tests what stands for it.
using CommandRunner = std::function<absl::StatusOr<CommandResult>(const Command&)>;

// The path of a program in the folders that PATH lists. NOT_FOUND.
absl::StatusOr<std::string> FindProgram(const std::string& name);

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_COMMAND_H_
