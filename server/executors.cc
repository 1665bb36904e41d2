#include "server/executors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"
#include "server/base/cgroup.h"
#include "server/base/wrong_flag.h"
#include "server/kubernetes/http_api.h"
#include "server/kubernetes/kubernetes_engine.h"
#include "server/launch/worker_command.h"
#include "server/processes/process_executor.h"
#include "server/remote/remote_executor.h"
#include "server/slurm/slurm_engine.h"
#include "server/store/server_id.h"

namespace atelier::server {
namespace {

constexpr std::int64_t kMaxCertificate = std::int64_t{64} << 10;

// What an executor is made from.
struct Context {
  const ServerOptions& options;
  const Clock* clock;
  remote::EngineObserver* observer;
  std::function<void(const std::string&)> log;
};

using Executors = absl::StatusOr<std::unique_ptr<jobs::Executor>>;

launch::WorkerCommand::Options WorkerOptions(const ServerOptions& options) {
  return {.program = options.worker_binary,
          .server_address = options.worker_listen.ToString(),
          .server_certificate = options.WorkersUseTls() ? options.tls->certificate : "",
          .sandbox = options.worker_sandbox};
}

Executors MakeProcesses(const Context& context) {
  return processes::ProcessExecutor::Create(
      {.worker = WorkerOptions(context.options),
       .oom_kills = [] { return ControlGroup::OfThisProcess().oom_kills(); }});
}

// As options for processes on other machines, which do not see where the server has its
// certificate: it is copied to the data directory or, where they do not see that, given along.
absl::StatusOr<launch::WorkerCommand::Options> RemoteWorkerOptions(const ServerOptions& options) {
  launch::WorkerCommand::Options worker = WorkerOptions(options);
  worker.server_address = options.worker_address;
  worker.cache_dir = options.worker_cache_dir;
  worker.cache_bytes = options.worker_cache_bytes;
  worker.rank_network = options.rank_network;
  if (worker.server_certificate.empty()) return worker;
  if (!worker.cache_dir.empty()) {
    auto text = models::ReadWholeFile(worker.server_certificate, kMaxCertificate);
    if (!text.ok()) return WrongFlag("tls_cert", text.status().message());
    worker.server_certificate.clear();
    worker.certificate_text = *std::move(text);
    return worker;
  }
  auto copied = store::ShareFile(worker.server_certificate, options.data_dir, "worker-server.pem");
  if (!copied.ok()) return copied.status();
  worker.server_certificate = *std::move(copied);
  return worker;
}

Executors MakeRemote(const Context& context, std::unique_ptr<remote::Engine> engine,
                     absl::Duration poll_interval) {
  auto id = store::ServerId(context.options.data_dir);
  if (!id.ok()) return id.status();
  remote::RemoteExecutor::Options executing;
  executing.server_id = *std::move(id);
  if (context.options.max_jobs > 0) executing.max_launches = context.options.max_jobs;
  executing.observer = context.observer;
  executing.log = context.log;
  executing.poll_interval = poll_interval;
  executing.least_interval = std::min(poll_interval, absl::Seconds(1));
  return std::make_unique<remote::RemoteExecutor>(std::move(executing), std::move(engine),
                                                  context.clock);
}

Executors MakeSlurm(const Context& context) {
  auto options = slurm::SlurmOptions::Create(context.options.executor_settings);
  if (!options.ok()) return options.status();
  const auto worker = RemoteWorkerOptions(context.options);
  if (!worker.ok()) return worker.status();
  auto engine = slurm::SlurmEngine::Create(*std::move(options), *worker);
  if (!engine.ok()) return engine.status();
  return MakeRemote(context, *std::move(engine), absl::Seconds(1));
}

Executors MakeKubernetes(const Context& context) {
  auto options = kubernetes::KubernetesOptions::Create(context.options.executor_settings);
  if (!options.ok()) return options.status();
  const auto worker = RemoteWorkerOptions(context.options);
  if (!worker.ok()) return worker.status();
  auto id = store::ServerId(context.options.data_dir);
  if (!id.ok()) return id.status();
  auto api = std::make_unique<kubernetes::HttpApi>(options->api);
  auto engine = kubernetes::KubernetesEngine::Create(
      {.kubernetes = *std::move(options), .server_id = *std::move(id)}, *worker, std::move(api),
      context.clock);
  if (!engine.ok()) return engine.status();
  // A watch says when something happened.
  return MakeRemote(context, *std::move(engine), absl::Seconds(10));
}

struct Entry {
  const char* name;
  Executors (*make)(const Context&);
};

constexpr Entry kExecutors[] = {
    {"process", &MakeProcesses}, {"slurm", &MakeSlurm}, {"kubernetes", &MakeKubernetes}};

}  // namespace

Executors MakeExecutor(const ServerOptions& options, const Clock* clock,
                       remote::EngineObserver* observer,
                       std::function<void(const std::string&)> log) {
  std::string names;
  for (const Entry& entry : kExecutors) {
    if (options.executor == entry.name)
      return entry.make({options, clock, observer, std::move(log)});
    absl::StrAppend(&names, names.empty() ? "" : " or ", entry.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--executor: '", options.executor, "' is not ", names, "."));
}

}  // namespace atelier::server
