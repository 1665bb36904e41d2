#include "server/executors.h"

#include "server/base/cgroup.h"
#include "server/launch/worker_command.h"
#include "server/processes/process_executor.h"

namespace atelier::server {
namespace {

launch::WorkerCommand::Options WorkerOptions(const ServerOptions& options) {
  return {.program = options.worker_binary,
          .server_address = options.worker_listen.ToString(),
          .server_certificate = options.WorkersUseTls() ? options.tls->certificate : ""};
}

absl::StatusOr<std::unique_ptr<jobs::Executor>> MakeProcesses(const ServerOptions& options) {
  return processes::ProcessExecutor::Create({.worker = WorkerOptions(options), .oom_kills = [] {
                                               return ControlGroup::OfThisProcess().oom_kills();
                                             }});
}

}  // namespace

absl::StatusOr<std::unique_ptr<jobs::Executor>> MakeExecutor(const ServerOptions& options) {
  return MakeProcesses(options);
}

}  // namespace atelier::server
