#include "server/executors.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/cgroup.h"
#include "server/launch/worker_command.h"
#include "server/processes/process_executor.h"
#include "server/slurm/slurm_executor.h"
#include "server/store/server_id.h"

namespace atelier::server {
namespace {

// What an executor is made from.
struct Context {
  const ServerOptions& options;
  const Clock* clock;
  std::function<void(const std::string&)> log;
};

using Executors = absl::StatusOr<std::unique_ptr<jobs::Executor>>;

launch::WorkerCommand::Options WorkerOptions(const ServerOptions& options) {
  return {.program = options.worker_binary,
          .server_address = options.worker_listen.ToString(),
          .server_certificate = options.WorkersUseTls() ? options.tls->certificate : ""};
}

Executors MakeProcesses(const Context& context) {
  return processes::ProcessExecutor::Create(
      {.worker = WorkerOptions(context.options),
       .oom_kills = [] { return ControlGroup::OfThisProcess().oom_kills(); }});
}

Executors MakeSlurm(const Context& context) {
  auto slurm = slurm::SlurmOptions::Create(context.options.executor_settings);
  if (!slurm.ok()) return slurm.status();
  auto id = store::ServerId(context.options.data_dir);
  if (!id.ok()) return id.status();
  slurm::SlurmExecutor::Options executing;
  executing.slurm = *std::move(slurm);
  executing.worker = WorkerOptions(context.options);
  if (!executing.worker.server_certificate.empty()) {
    // Nodes see the data directory, but not where the server has its certificate.
    auto copied = store::ShareFile(executing.worker.server_certificate, context.options.data_dir,
                                   "worker-server.pem");
    if (!copied.ok()) return copied.status();
    executing.worker.server_certificate = *std::move(copied);
  }
  executing.server_id = *std::move(id);
  if (context.options.max_jobs > 0) executing.max_launches = context.options.max_jobs;
  executing.log = context.log;
  return slurm::SlurmExecutor::Create(std::move(executing), context.clock);
}

struct Entry {
  const char* name;
  Executors (*make)(const Context&);
};

constexpr Entry kExecutors[] = {{"process", &MakeProcesses}, {"slurm", &MakeSlurm}};

}  // namespace

Executors MakeExecutor(const ServerOptions& options, const Clock* clock,
                       std::function<void(const std::string&)> log) {
  std::string names;
  for (const Entry& entry : kExecutors) {
    if (options.executor == entry.name) return entry.make({options, clock, std::move(log)});
    absl::StrAppend(&names, names.empty() ? "" : " or ", entry.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--executor: '", options.executor, "' is not ", names, "."));
}

}  // namespace atelier::server
