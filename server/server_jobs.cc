// ServerParts: jobs, experiments and workers.
#include <sys/stat.h>

#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "models/network/training_options.h"
#include "server/base/machine.h"
#include "server/credentials.h"
#include "server/executors.h"
#include "server/jobs/resource_names.h"
#include "server/server_parts.h"
#include "server/wiring/network_builder.h"
#include "server/wiring/preset_list.h"
#include "server/wiring/start_description.h"

namespace atelier::server {
namespace {

// Between two looks at what experiments have come to, however much happens.
constexpr absl::Duration kExperimentPause = absl::Milliseconds(100);

jobs::SpecResolver::Options ResolverOptions(const ServerOptions& options, jobs::ModelStore* models,
                                            const jobs::Executor* executor) {
  jobs::SpecResolver::Options resolver;
  resolver.presets = wiring::PresetChoices();
  // An engine's nodes have what they have.
  const bool here = !executor->max_launches().has_value();
  resolver.max_cores = here ? options.workers * options.threads_per_worker : INT_MAX;
  resolver.default_cores = options.threads_per_worker;
  resolver.memory_bytes = here ? MemoryForJobs(UsableMemory()) : 0;
  resolver.bfloat16 = models::Bfloat16Supported();
  resolver.cuda = models::CudaAvailable() || executor->has_gpus();
  resolver.nodes_are_here = here;
  if (!here && options.rank_network.empty()) {
    resolver.nodes_refused =
        "The server's cluster has no network for the nodes of one job; its operator can name one "
        "(atelierd --rank_network).";
  }
  resolver.draw_seed = &jobs::SpecResolver::RandomSeed;
  resolver.build_network = &wiring::BuildNetwork;
  resolver.network_problem = &wiring::NetworkProblem;
  // Nobody measured the nodes of an engine.
  if (here) resolver.fastest_precision = &wiring::FastestPrecision;
  resolver.models = models;
  resolver.describe_start = &wiring::DescribeStart;
  resolver.check_arguments = [executor](const std::vector<std::string>& arguments) {
    return executor->CheckArguments(arguments);
  };
  return resolver;
}

jobs::JobLimits LimitsOf(const access::Limits& limits) {
  return {.jobs = limits.jobs,
          .running = limits.running,
          .cores = limits.cores,
          .priority = limits.priority,
          .data = limits.data,
          .models = limits.models};
}

jobs::JobController::Options ControllerOptions(const ServerOptions& options,
                                               const jobs::Executor& executor,
                                               const access::Gatekeeper* gatekeeper) {
  jobs::JobController::Options controlling;
  controlling.max_attempts = executor.max_launches().value_or(0);
  const bool here = controlling.max_attempts == 0;
  controlling.total_cores = here ? options.workers * options.threads_per_worker : 0;
  controlling.total_memory_bytes = here ? MemoryForJobs(UsableMemory()) : 0;
  controlling.queue_capacity = static_cast<std::size_t>(options.max_queued_jobs);
  controlling.lease = options.lease;
  controlling.dataset_space = options.dataset_space;
  if (gatekeeper->asks()) {
    controlling.limits_of = [gatekeeper](const std::string& creator) {
      return LimitsOf(gatekeeper->LimitsOf(creator));
    };
  }
  controlling.log = &Warn;
  return controlling;
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

void ServerParts::StartWebhooks() {
  poster = std::make_unique<webhooks::CurlPoster>(
      webhooks::CurlPoster::Options{.private_addresses = options.notify_private_addresses});
  webhook_sender = std::make_unique<webhooks::WebhookSender>(
      webhooks::WebhookSender::Options{.secret = options.notify_secret, .log = &Warn},
      webhooks::WebhookSender::Dependencies{.clock = &clock,
                                            .store = store.get(),
                                            .poster = poster.get(),
                                            .observer = metrics->webhooks()});
}

absl::Status ServerParts::StartJobs() {
  auto executors = MakeExecutor(options, &clock, metrics->engine(), &Warn);
  if (!executors.ok()) return executors.status();
  executor = *std::move(executors);
  resolver = std::make_unique<jobs::SpecResolver>(
      ResolverOptions(options, store.get(), executor.get()), catalog_facts.get());
  events = std::make_unique<jobs::EventLog>(jobs::EventLog::Options(), store.get());
  StartEventFiles();
  StartWebhooks();
  auto created = jobs::JobController::Create(
      ControllerOptions(options, *executor, gatekeeper.get()),
      {.clock = &clock,
       .jobs = store.get(),
       .models = store.get(),
       .artifacts = artifacts.get(),
       .datasets = catalog_facts.get(),
       .pushed_datasets = store.get(),
       .executor = executor.get(),
       .resolver = resolver.get(),
       .events = events.get(),
       .observers = {metrics->jobs(), job_log.get(), model_signal.get(), experiment_signal.get(),
                     event_files.get(), uploads.get(), webhook_sender.get()}});
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
  webhook_driver = std::make_unique<TickThread>(TickThread::Options{.name = "webhooks"},
                                                [this] { return webhook_sender->Tick(); });
  uploads->SetKick(upload_driver->kick());
  webhook_sender->SetKick(webhook_driver->kick());
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
  attempt_files = std::make_unique<transfers::AttemptFiles>(
      transfers::AttemptFiles::Options{.rate = options.transfer_rate}, &clock);
  transfer_tasks = std::make_unique<TaskQueue>(TaskQueue::Options{
      .name = "transfer", .threads = launch::kTransfers, .capacity = launch::kWaitingTransfers});
  worker_service = std::make_unique<launch::WorkerService>(
      session_host.get(), session_tasks.get(), attempt_files.get(), transfer_tasks.get());
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
