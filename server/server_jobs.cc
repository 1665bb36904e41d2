// ServerParts: jobs, experiments and workers.
#include <sys/stat.h>

#include <utility>

#include "absl/time/time.h"
#include "models/network/training_options.h"
#include "server/base/cgroup.h"
#include "server/base/machine.h"
#include "server/credentials.h"
#include "server/jobs/resource_names.h"
#include "server/server_parts.h"
#include "server/wiring/network_builder.h"
#include "server/wiring/preset_list.h"
#include "server/wiring/start_description.h"

namespace atelier::server {
namespace {

// Between two looks at what experiments have come to, however much happens.
constexpr absl::Duration kExperimentPause = absl::Milliseconds(100);

jobs::SpecResolver::Options ResolverOptions(const ServerOptions& options,
                                            jobs::ModelStore* models) {
  jobs::SpecResolver::Options resolver;
  resolver.presets = wiring::PresetChoices();
  resolver.max_cores = options.workers * options.threads_per_worker;
  resolver.default_cores = options.threads_per_worker;
  resolver.memory_bytes = MemoryForJobs(UsableMemory());
  resolver.bfloat16 = models::Bfloat16Supported();
  resolver.cuda = models::CudaAvailable();
  resolver.automatic_precision = models::AutoPrecision() == models::Precision::kBfloat16
                                     ? v1::PRECISION_BFLOAT16
                                     : v1::PRECISION_FLOAT32;
  resolver.draw_seed = &jobs::SpecResolver::RandomSeed;
  resolver.build_network = &wiring::BuildNetwork;
  resolver.network_problem = &wiring::NetworkProblem;
  resolver.models = models;
  resolver.describe_start = &wiring::DescribeStart;
  return resolver;
}

// The filters of the first layer. FAILED_PRECONDITION for a model without convolutions.
absl::StatusOr<tensorboard::Picture> DrawFilters(views::ModelViewer* viewer,
                                                 const std::string& model_version) {
  const auto reference = jobs::ParseModelName(model_version);
  if (!reference.ok()) return reference.status();
  auto filters = viewer->Filters(
      {.model = reference->model, .reference = reference->version, .values = false});
  if (!filters.ok()) return filters.status();
  models::TiledPicture& picture = filters->picture;
  return tensorboard::Picture{"filters", picture.layout.picture_height(),
                              picture.layout.picture_width(), std::move(picture.png)};
}

}  // namespace

void ServerParts::StartEventFiles() {
  tensorboard::EventFiles::Options writing;
  writing.draw_filters = [this](const std::string& model_version) {
    return DrawFilters(viewer.get(), model_version);
  };
  writing.log = &Warn;
  event_files = std::make_unique<tensorboard::EventFiles>(
      writing, tensorboard::EventFiles::Dependencies{
                   .store = store.get(), .events = events.get(), .artifacts = artifacts.get()});
}

absl::Status ServerParts::StartExecutor() {
  launch::ProcessExecutor::Options launching;
  launching.worker_binary = options.worker_binary;
  launching.oom_kills = [] { return ControlGroup::OfThisProcess().oom_kills(); };
  if (options.WorkersUseTls()) launching.server_certificate = options.tls->certificate;
  auto processes = launch::ProcessExecutor::Create(launching);
  if (!processes.ok()) return processes.status();
  executor = *std::move(processes);
  executor->SetServerAddress(options.worker_listen.ToString());
  return absl::OkStatus();
}

absl::Status ServerParts::StartJobs() {
  resolver = std::make_unique<jobs::SpecResolver>(ResolverOptions(options, store.get()),
                                                  catalog_facts.get());
  events = std::make_unique<jobs::EventLog>(jobs::EventLog::Options(), store.get());
  StartEventFiles();
  if (absl::Status status = StartExecutor(); !status.ok()) return status;
  jobs::JobController::Options controlling;
  controlling.total_cores = options.workers * options.threads_per_worker;
  controlling.total_memory_bytes = MemoryForJobs(UsableMemory());
  controlling.queue_capacity = static_cast<std::size_t>(options.max_queued_jobs);
  controlling.lease = options.lease;
  controlling.dataset_space = options.dataset_space;
  controlling.log = &Warn;
  auto created = jobs::JobController::Create(
      controlling, {.clock = &clock,
                    .jobs = store.get(),
                    .models = store.get(),
                    .artifacts = artifacts.get(),
                    .datasets = catalog_facts.get(),
                    .pushed_datasets = store.get(),
                    .executor = executor.get(),
                    .resolver = resolver.get(),
                    .events = events.get(),
                    .observers = {metrics->jobs(), job_log.get(), model_signal.get(),
                                  experiment_signal.get(), event_files.get(), uploads.get()}});
  if (!created.ok()) return created.status();
  controller = *std::move(created);
  return absl::OkStatus();
}

absl::Status ServerParts::StartExperiments() {
  jobs::ExperimentController::Options experimenting;
  experimenting.log = &Warn;
  auto created = jobs::ExperimentController::Create(experimenting, {.clock = &clock,
                                                                    .experiments = store.get(),
                                                                    .jobs = controller.get(),
                                                                    .resolver = resolver.get()});
  if (!created.ok()) return created.status();
  experiments = *std::move(created);
  return absl::OkStatus();
}

void ServerParts::Drive() {
  driver = std::make_unique<jobs::JobDriver>(controller.get());
  experiment_driver = std::make_unique<TickThread>(
      TickThread::Options{.name = "experiments", .pause = kExperimentPause},
      [this] { return experiments->Tick(); });
  upload_driver = std::make_unique<TickThread>(TickThread::Options{.name = "uploads"},
                                               [this] { return uploads->Tick(); });
  access_driver = std::make_unique<TickThread>(TickThread::Options{.name = "access"},
                                               [this] { return gatekeeper->Tick(); });
  uploads->SetKick(upload_driver->kick());
  experiments->SetKick(experiment_driver->kick());
  experiment_signal->SetKick(experiment_driver->kick());
  // For what happened before they knew whom to tell.
  experiment_driver->kick()();
}

absl::Status ServerParts::ServeWorkers() {
  session_host = std::make_unique<launch::ControllerSessionHost>(controller.get());
  // The service refers to its queue, but the queue's last tasks to the service's host.
  session_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "session", .threads = 2, .capacity = 10'000});
  worker_service = std::make_unique<launch::WorkerService>(session_host.get(), session_tasks.get());
  auto address = ShortAddress::Of(options.worker_listen.ToString());
  if (!address.ok()) return address.status();
  worker_address = std::make_unique<ShortAddress>(*std::move(address));
  auto server = rpc::GrpcServer::Start(
      {.address = worker_address->text(),
       .credentials = WorkerCredentials(options),
       .max_receive_bytes = launch::kMaxWorkerMessageBytes,
       .public_services = false,
       .calls = metrics->calls()},
      {{worker::v1::WorkerService::service_full_name(), worker_service.get()}});
  if (!server.ok()) return server.status();
  worker_server = *std::move(server);
  const std::string& socket = options.worker_listen.socket;
  if (!socket.empty()) chmod(socket.c_str(), S_IRUSR | S_IWUSR);
  return absl::OkStatus();
}

}  // namespace atelier::server
