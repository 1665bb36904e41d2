#include "server/server.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/network/architecture.h"
#include "models/network/training_options.h"
#include "models/torch/libtorch_version.h"
#include "server/base/cgroup.h"
#include "server/base/machine.h"
#include "server/base/short_address.h"
#include "server/base/system_clock.h"
#include "server/base/task_queue.h"
#include "server/base/tick_thread.h"
#include "server/credentials.h"
#include "server/job_log.h"
#include "server/jobs/event_log.h"
#include "server/jobs/experiment_controller.h"
#include "server/jobs/experiment_signal.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_driver.h"
#include "server/jobs/spec_resolver.h"
#include "server/launch/process_executor.h"
#include "server/launch/session_host.h"
#include "server/launch/worker_service.h"
#include "server/logging.h"
#include "server/metrics/server_metrics.h"
#include "server/rpc/dataset_service.h"
#include "server/rpc/experiment_service.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/monitoring_service.h"
#include "server/rpc/open_inference_service.h"
#include "server/rpc/status.h"
#include "server/rpc/stream_set.h"
#include "server/rpc/training_service.h"
#include "server/serving/classifier.h"
#include "server/store/data_directory.h"
#include "server/store/folder_artifact_store.h"
#include "server/store/sqlite_store.h"
#include "server/tensorboard/event_files.h"
#include "server/views/dataset_catalog.h"
#include "server/views/model_viewer.h"
#include "server/wiring/catalog_facts.h"
#include "server/wiring/model_signal.h"
#include "server/wiring/registry_versions.h"
#include "spdlog/spdlog.h"

namespace atelier::server {
namespace {

// What calls get to end by themselves once the server stops.
constexpr absl::Duration kCallPatience = absl::Seconds(2);
// What a worker's end takes, and what it takes to be noticed and stored.
constexpr absl::Duration kExitPatience = absl::Seconds(5);
// Between two looks at what experiments have come to, however much happens.
constexpr absl::Duration kExperimentPause = absl::Milliseconds(100);

void Warn(const std::string& sentence) { spdlog::warn("{}", sentence); }

// The networks' words for an image that is too small, and the like.
std::string NetworkProblem(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts) {
  const v1::ImageShape& shape = facts.image_shape;
  const auto network = models::Architecture::FromPreset(
      spec.preset(), {shape.channels(), shape.height(), shape.width()}, facts.class_count,
      spec.dropout());
  return network.ok() ? "" : std::string(network.status().message());
}

jobs::SpecResolver::Options ResolverOptions(const ServerOptions& options) {
  jobs::SpecResolver::Options resolver;
  resolver.presets = models::PresetNames();
  resolver.max_cores = options.workers * options.threads_per_worker;
  resolver.default_cores = options.threads_per_worker;
  resolver.memory_bytes = MemoryForJobs(UsableMemory());
  resolver.bfloat16 = models::Bfloat16Supported();
  resolver.cuda = models::CudaAvailable();
  resolver.automatic_precision = models::AutoPrecision() == models::Precision::kBfloat16
                                     ? v1::PRECISION_BFLOAT16
                                     : v1::PRECISION_FLOAT32;
  resolver.draw_seed = &jobs::SpecResolver::RandomSeed;
  resolver.network_problem = &NetworkProblem;
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

absl::StatusOr<rpc::GrowingFile> TensorboardFile(tensorboard::EventFiles* files,
                                                 const std::string& job) {
  auto file = files->Update(job);
  if (!file.ok()) return file.status();
  return rpc::GrowingFile{std::move(file->path), file->bytes};
}

}  // namespace

// In the order in which they are made; they go in the opposite one.
struct Server::Parts {
  rpc::GrpcThreads grpc_threads;
  ServerOptions options;

  std::unique_ptr<store::DataDirectory> data_directory;
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<store::FolderArtifactStore> artifacts;
  SystemClock clock;
  std::unique_ptr<metrics::ServerMetrics> metrics;
  std::unique_ptr<JobLog> job_log;
  std::unique_ptr<wiring::ModelSignal> model_signal;
  std::unique_ptr<jobs::ExperimentSignal> experiment_signal;

  // What there is to train on, and what came of it.
  std::unique_ptr<views::DatasetCatalog> catalog;
  std::unique_ptr<wiring::CatalogFacts> catalog_facts;
  std::unique_ptr<wiring::RegistryVersions> versions;
  std::unique_ptr<views::ModelViewer> viewer;

  // Jobs and their workers.
  std::unique_ptr<jobs::SpecResolver> resolver;
  std::unique_ptr<jobs::EventLog> events;
  std::unique_ptr<tensorboard::EventFiles> event_files;
  std::unique_ptr<launch::ProcessExecutor> executor;
  std::unique_ptr<jobs::JobController> controller;
  std::unique_ptr<jobs::ExperimentController> experiments;
  std::unique_ptr<launch::ControllerSessionHost> session_host;
  std::unique_ptr<launch::WorkerService> worker_service;
  std::unique_ptr<TaskQueue> session_tasks;
  std::unique_ptr<ShortAddress> worker_address;
  std::unique_ptr<rpc::GrpcServer> worker_server;

  // Clients.
  std::unique_ptr<serving::Classifier> classifier;
  std::unique_ptr<rpc::CallMemory> call_memory;
  std::unique_ptr<TaskQueue> tasks;
  std::unique_ptr<TaskQueue> picture_tasks;
  std::unique_ptr<TaskQueue> dataset_tasks;
  std::unique_ptr<rpc::StreamSet> streams;
  std::unique_ptr<rpc::TrainingService> training_service;
  std::unique_ptr<rpc::ExperimentService> experiment_service;
  std::unique_ptr<rpc::DatasetService> dataset_service;
  std::unique_ptr<rpc::ModelService> model_service;
  std::unique_ptr<rpc::InferenceService> inference_service;
  std::unique_ptr<rpc::OpenInferenceService> open_inference_service;
  std::unique_ptr<rpc::MonitoringService> monitoring_service;
  std::unique_ptr<rpc::GrpcServer> public_server;

  std::unique_ptr<jobs::JobDriver> driver;
  std::unique_ptr<TickThread> experiment_driver;

  // Jobs may end while the classifier goes.
  ~Parts() {
    if (model_signal != nullptr) model_signal->SetFollow({});
  }

  absl::Status OpenData();
  absl::Status StartMetrics();
  void OpenCatalogs();
  void StartEventFiles();
  absl::Status StartJobs();
  absl::Status StartExperiments();
  void Drive();
  absl::Status ServeWorkers();
  absl::Status ServeClients();
};

absl::Status Server::Parts::OpenData() {
  auto directory = store::DataDirectory::Open(options.data_dir);
  if (!directory.ok()) return directory.status();
  data_directory = *std::move(directory);
  auto database = store::SqliteStore::Open(data_directory->database_path());
  if (!database.ok()) return database.status();
  store = *std::move(database);
  artifacts = std::make_unique<store::FolderArtifactStore>(data_directory->path());
  return absl::OkStatus();
}

absl::Status Server::Parts::StartMetrics() {
  metrics::ServerMetrics::Options counting;
  counting.page.host = options.metrics_listen.host;
  counting.page.port = options.metrics_listen.port;
  counting.page.version = ATELIER_VERSION;
  counting.page.libtorch_version = models::LibTorchVersion();
  counting.jobs.worker_cores = options.workers * options.threads_per_worker;
  counting.jobs.queue_capacity = static_cast<std::size_t>(options.max_queued_jobs);
  counting.serving.max_versions = std::max(counting.serving.max_versions,
                                           2 * static_cast<std::size_t>(options.serving_versions));
  counting.dropped_log_lines = &DroppedLogLines;
  counting.data_dir = data_directory->path();
  auto started = metrics::ServerMetrics::Start(counting, &clock);
  if (!started.ok()) return started.status();
  metrics = *std::move(started);
  job_log = std::make_unique<JobLog>();
  model_signal = std::make_unique<wiring::ModelSignal>();
  experiment_signal = std::make_unique<jobs::ExperimentSignal>();
  return absl::OkStatus();
}

void Server::Parts::OpenCatalogs() {
  catalog = std::make_unique<views::DatasetCatalog>(
      options.datasets, views::DatasetCatalog::Options{.cache_dir = artifacts->DatasetCacheDir()});
  catalog_facts = std::make_unique<wiring::CatalogFacts>(catalog.get());
  versions = std::make_unique<wiring::RegistryVersions>(store.get(), artifacts.get());
  viewer = std::make_unique<views::ModelViewer>(versions.get());
}

void Server::Parts::StartEventFiles() {
  tensorboard::EventFiles::Options writing;
  writing.draw_filters = [this](const std::string& model_version) {
    return DrawFilters(viewer.get(), model_version);
  };
  writing.log = &Warn;
  event_files = std::make_unique<tensorboard::EventFiles>(
      writing, tensorboard::EventFiles::Dependencies{
                   .store = store.get(), .events = events.get(), .artifacts = artifacts.get()});
}

absl::Status Server::Parts::StartJobs() {
  resolver = std::make_unique<jobs::SpecResolver>(ResolverOptions(options), catalog_facts.get());
  events = std::make_unique<jobs::EventLog>(jobs::EventLog::Options(), store.get());
  StartEventFiles();
  launch::ProcessExecutor::Options launching;
  launching.worker_binary = options.worker_binary;
  launching.oom_kills = [] { return ControlGroup::OfThisProcess().oom_kills(); };
  if (options.WorkersUseTls()) launching.server_certificate = options.tls->certificate;
  auto processes = launch::ProcessExecutor::Create(launching);
  if (!processes.ok()) return processes.status();
  executor = *std::move(processes);
  executor->SetServerAddress(options.worker_listen.ToString());
  jobs::JobController::Options controlling;
  controlling.total_cores = options.workers * options.threads_per_worker;
  controlling.total_memory_bytes = MemoryForJobs(UsableMemory());
  controlling.queue_capacity = static_cast<std::size_t>(options.max_queued_jobs);
  controlling.lease = options.lease;
  controlling.log = &Warn;
  auto created = jobs::JobController::Create(
      controlling, {.clock = &clock,
                    .jobs = store.get(),
                    .models = store.get(),
                    .artifacts = artifacts.get(),
                    .datasets = catalog_facts.get(),
                    .executor = executor.get(),
                    .resolver = resolver.get(),
                    .events = events.get(),
                    .observers = {metrics->jobs(), job_log.get(), model_signal.get(),
                                  experiment_signal.get(), event_files.get()}});
  if (!created.ok()) return created.status();
  controller = *std::move(created);
  return absl::OkStatus();
}

absl::Status Server::Parts::StartExperiments() {
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

void Server::Parts::Drive() {
  driver = std::make_unique<jobs::JobDriver>(controller.get());
  experiment_driver = std::make_unique<TickThread>(
      TickThread::Options{.name = "experiments", .pause = kExperimentPause},
      [this] { return experiments->Tick(); });
  experiments->SetKick(experiment_driver->kick());
  experiment_signal->SetKick(experiment_driver->kick());
  // For what happened before they knew whom to tell.
  experiment_driver->kick()();
}

absl::Status Server::Parts::ServeWorkers() {
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
       .for_strangers = false,
       .calls = metrics->calls()},
      {{worker::v1::WorkerService::service_full_name(), worker_service.get()}});
  if (!server.ok()) return server.status();
  worker_server = *std::move(server);
  const std::string& socket = options.worker_listen.socket;
  if (!socket.empty()) chmod(socket.c_str(), S_IRUSR | S_IWUSR);
  return absl::OkStatus();
}

absl::Status Server::Parts::ServeClients() {
  serving::Classifier::Options classifying;
  classifying.batching.threads = options.serving_threads;
  classifying.batching.lingers = UsableCores() > 1;
  classifying.batching.queue.max_delay = options.batch_delay;
  classifying.decoders = options.serving_threads;
  classifying.versions.max_loaded = static_cast<std::size_t>(options.serving_versions);
  classifying.versions.idle = options.serving_idle;
  classifying.versions.state_path = absl::StrCat(data_directory->path(), "/serving.json");
  classifying.versions.observer = metrics->serving();
  classifying.versions.log = &Warn;
  classifier = std::make_unique<serving::Classifier>(
      classifying, versions.get(),
      serving::LoadEngineOn(options.serving_on_gpu ? models::Device::kCuda : models::Device::kCpu));
  // Before anything is restored, so that no new version falls between the two.
  model_signal->SetFollow(
      [this](const std::string& model) { classifier->versions().Follow(model); });
  // Ready means warm.
  classifier->versions().Restore();
  call_memory = std::make_unique<rpc::CallMemory>(rpc::CallMemory::Options());
  tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "calls", .threads = 4, .capacity = 1000});
  picture_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "pictures", .threads = 1, .capacity = 100});
  dataset_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "datasets", .threads = 2, .capacity = 100});
  streams = std::make_unique<rpc::StreamSet>(rpc::StreamSet::Options{.memory = call_memory.get()});
  training_service = std::make_unique<rpc::TrainingService>(
      rpc::TrainingService::Dependencies{.controller = controller.get(),
                                         .events = events.get(),
                                         .artifacts = artifacts.get(),
                                         .tasks = tasks.get(),
                                         .streams = streams.get(),
                                         .tensorboard = [this](const std::string& job) {
                                           return TensorboardFile(event_files.get(), job);
                                         }});
  experiment_service =
      std::make_unique<rpc::ExperimentService>(rpc::ExperimentService::Dependencies{
          .controller = experiments.get(), .tasks = tasks.get(), .streams = streams.get()});
  dataset_service = std::make_unique<rpc::DatasetService>(catalog.get(), dataset_tasks.get());
  model_service = std::make_unique<rpc::ModelService>(rpc::ModelService::Dependencies{
      .models = store.get(),
      .artifacts = artifacts.get(),
      .tasks = tasks.get(),
      .streams = streams.get(),
      .viewer = viewer.get(),
      .picture_tasks = picture_tasks.get(),
      .on_deleted = [this](const std::string& model,
                           std::int64_t version) { classifier->versions().Forget(model, version); },
      .prepare =
          [this](const std::string& model, std::int64_t version) {
            return classifier->versions().Load(model, absl::StrCat(version)).status();
          },
      .on_changed = [this](const std::string& model) { classifier->versions().Refresh(model); },
      .log = &Warn});
  inference_service = std::make_unique<rpc::InferenceService>(classifier.get());
  open_inference_service = std::make_unique<rpc::OpenInferenceService>(
      classifier.get(), tasks.get(), ATELIER_VERSION, call_memory.get());
  monitoring_service = std::make_unique<rpc::MonitoringService>(
      [this](const v1::GetMetricsRequest& request) { return metrics->Snapshot(request); },
      tasks.get());
  auto server = rpc::GrpcServer::Start(
      {.address = options.listen.ToString(),
       .credentials = ClientCredentials(options),
       .for_strangers = true,
       .calls = metrics->calls(),
       .memory = call_memory.get()},
      {{v1::TrainingService::service_full_name(), training_service.get()},
       {v1::ExperimentService::service_full_name(), experiment_service.get()},
       {v1::DatasetService::service_full_name(), dataset_service.get()},
       {v1::ModelService::service_full_name(), model_service.get()},
       {v1::InferenceService::service_full_name(), inference_service.get()},
       {v1::MonitoringService::service_full_name(), monitoring_service.get()},
       {inference::GRPCInferenceService::service_full_name(), open_inference_service.get()}});
  if (!server.ok()) return server.status();
  public_server = *std::move(server);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  auto parts = std::make_unique<Parts>();
  parts->options = options;
  absl::Status status = parts->OpenData();
  if (status.ok()) status = parts->StartMetrics();
  if (status.ok()) parts->OpenCatalogs();
  if (status.ok()) status = parts->StartJobs();
  if (status.ok()) status = parts->StartExperiments();
  if (status.ok()) status = parts->ServeWorkers();
  if (status.ok()) status = parts->ServeClients();
  if (!status.ok()) return status;
  // Only now, so that a server that cannot listen starts no worker.
  parts->Drive();
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() = default;

std::string Server::address() const { return parts_->public_server->address(); }

std::string Server::metrics_address() const {
  return absl::StrCat(parts_->options.metrics_listen.host, ":", parts_->metrics->port());
}

void Server::Stop() {
  parts_->public_server->SetServing(false);
  parts_->controller->BeginShutdown();
  if (!parts_->controller->AwaitSuspended(parts_->options.shutdown_grace)) {
    spdlog::warn("Workers that wrote no checkpoint within the grace of {} are killed.",
                 absl::FormatDuration(parts_->options.shutdown_grace));
    parts_->controller->KillRemaining();
    parts_->controller->AwaitSuspended(kExitPatience);
  }
  parts_->catalog->Stop();
  parts_->streams->EndAll(rpc::ServerStopping());
  parts_->public_server->Shutdown(kCallPatience);
  parts_->controller->AwaitProcessesGone(kExitPatience);
  parts_->worker_server->Shutdown(kCallPatience);
}

}  // namespace atelier::server
