// The `atelier` program.
#include <grpc/support/log.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "client/command_line.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/terminal.h"
#include "models/base/allocator.h"

int main(int argc, char** argv) {
  // A push sends the same pieces' buffers again and again.
  atelier::models::KeepFreedMemory(16 << 20);
  // Debian's Abseil checks every lock for deadlocks, which would slow down every call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC logs only if GRPC_VERBOSITY is set; the client reports errors itself.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) {
    gpr_set_log_function([](gpr_log_func_args*) {});
  }
  return atelier::client::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc),
                                         atelier::client::StandardTerminal(),
                                         atelier::client::Interrupt::Requested);
}
