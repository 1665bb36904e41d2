// ServerParts: what clients call.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/base/allocator.h"
#include "server/base/machine.h"
#include "server/credentials.h"
#include "server/logging.h"
#include "server/rpc/status.h"
#include "server/server_parts.h"
#include "server/upkeep/backup.h"
#include "server/wiring/network_description.h"
#include "server/wiring/preset_list.h"

namespace atelier::server {
namespace {

// Between two publications of the registry, however much changes.
constexpr absl::Duration kPublishPause = absl::Milliseconds(500);
// Freed memory that stays, and how often there may be more of it.
constexpr std::int64_t kFreedBytes = 128 << 20;
constexpr absl::Duration kFreedPause = absl::Seconds(1);

absl::StatusOr<rpc::GrowingFile> TensorboardFile(tensorboard::EventFiles* files,
                                                 const std::string& job) {
  auto file = files->Update(job);
  if (!file.ok()) return file.status();
  return rpc::GrowingFile{std::move(file->path), file->bytes};
}

void TellOfBroken(const std::string& peer) {
  LogEvent(spdlog::level::warn,
           "A connection was broken: its client withdraws calls faster than they end.",
           {{"peer", peer}});
}

}  // namespace

void ServerParts::StartClassifier(serving::VersionSource* source) {
  serving::Classifier::Options classifying;
  classifying.batching.threads = options.serving_threads;
  classifying.batching.lingers = UsableCores() > 1;
  classifying.batching.queue.max_delay = options.batch_delay;
  classifying.batching.answers = &corked_connections;
  classifying.decoders = options.serving_threads;
  classifying.versions.max_loaded = static_cast<std::size_t>(options.serving_versions);
  classifying.versions.idle = options.serving_idle;
  classifying.versions.state_path = absl::StrCat(data_directory->path(), "/serving.json");
  classifying.versions.observer = metrics->serving();
  classifying.versions.log = &Warn;
  classifying.versions.keeps_without_archive = options.IsReplica();
  classifier = std::make_unique<serving::Classifier>(
      classifying, source,
      serving::LoadEngineOn(options.serving_on_gpu ? models::Device::kCuda : models::Device::kCpu));
}

void ServerParts::StartTaskQueues() {
  call_memory = std::make_unique<rpc::CallMemory>(rpc::CallMemory::Options());
  tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "calls", .threads = 4, .capacity = 1000});
  loading_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "loading", .threads = 2, .capacity = 1000});
  picture_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "pictures", .threads = 1, .capacity = 100});
  dataset_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "datasets", .threads = 2, .capacity = 100});
  upload_tasks = std::make_unique<TaskQueue>(
      TaskQueue::Options{.name = "uploads", .threads = 2, .capacity = 1000});
  streams = std::make_unique<rpc::StreamSet>(rpc::StreamSet::Options{.memory = call_memory.get()});
}

void ServerParts::MakeJobServices() {
  training_service = std::make_unique<rpc::TrainingService>(rpc::TrainingService::Dependencies{
      .controller = controller.get(),
      .events = events.get(),
      .artifacts = artifacts.get(),
      .tasks = tasks.get(),
      .streams = streams.get(),
      .tensorboard =
          [this](const std::string& job) { return TensorboardFile(event_files.get(), job); },
      .list_presets =
          [this](const v1::ListPresetsRequest& request) {
            return wiring::ListPresets(request, catalog_facts.get());
          },
      .describe_network =
          [this](const v1::DescribeNetworkRequest& request) {
            return wiring::DescribeNetwork(request, catalog_facts.get());
          }});
  experiment_service =
      std::make_unique<rpc::ExperimentService>(rpc::ExperimentService::Dependencies{
          .controller = experiments.get(), .tasks = tasks.get(), .streams = streams.get()});
  dataset_service = std::make_unique<rpc::DatasetService>(rpc::DatasetService::Dependencies{
      .catalog = catalog.get(),
      .pushed = store.get(),
      .artifacts = artifacts.get(),
      .controller = controller.get(),
      .limits = &resolver->options(),
      .uploads = uploads.get(),
      .tasks = dataset_tasks.get(),
      .upload_tasks = upload_tasks.get(),
      .streams = streams.get(),
      .check_data = [this](const std::string& creator, std::int64_t bytes, std::int64_t more) {
        return controller->CheckData(creator, bytes, more);
      }});
}

void ServerParts::MakeModelServices() {
  model_service = std::make_unique<rpc::ModelService>(rpc::ModelService::Dependencies{
      .models = store.get(),
      .artifacts = artifacts.get(),
      .controller = controller.get(),
      .tasks = tasks.get(),
      .streams = streams.get(),
      .viewer = viewer.get(),
      .picture_tasks = picture_tasks.get(),
      .loading_tasks = loading_tasks.get(),
      .on_deleted = [this](const std::string& model,
                           std::int64_t version) { classifier->versions().Forget(model, version); },
      .prepare =
          [this](const std::string& model, std::int64_t version) {
            return classifier->versions().Load(model, absl::StrCat(version)).status();
          },
      .on_changed =
          [this, publish = registry_driver->kick()](const std::string& model) {
            classifier->versions().Refresh(model);
            publish();
          },
      .log = &Warn});
}

void ServerParts::MakeInferenceServices() {
  inference_service =
      std::make_unique<rpc::InferenceService>(classifier.get(), &corked_connections);
  open_inference_service = std::make_unique<rpc::OpenInferenceService>(
      classifier.get(), tasks.get(), loading_tasks.get(), ATELIER_VERSION, call_memory.get(),
      &corked_connections, [this] { return mirror == nullptr || mirror->ready(); });
}

void ServerParts::MakeOperatorServices() {
  monitoring_service = std::make_unique<rpc::MonitoringService>(
      [this](const v1::GetMetricsRequest& request) { return metrics->Snapshot(request); },
      tasks.get());
  admin_service = std::make_unique<rpc::AdminService>(rpc::AdminService::Dependencies{
      .tasks = tasks.get(),
      .audit = audit.get(),
      .streams = streams.get(),
      .begin_backup = [this]() -> absl::StatusOr<std::unique_ptr<upkeep::Backup>> {
        if (options.IsReplica()) return rpc::OnlyReplica();
        return upkeep::Backup::Begin(data_directory->path(), store.get());
      }});
}

// What happened before it began is published by its first tick.
void ServerParts::StartPublishing() {
  registry_driver =
      std::make_unique<TickThread>(TickThread::Options{.name = "registry", .pause = kPublishPause},
                                   [this] { return publisher->Tick(); });
}

absl::Status ServerParts::Listen(const std::vector<rpc::NamedService>& services) {
  auto server = rpc::GrpcServer::Start({.address = options.listen.ToString(),
                                        .credentials = ClientCredentials(options),
                                        .public_services = true,
                                        .calls = metrics->calls(),
                                        .memory = call_memory.get(),
                                        .gatekeeper = gatekeeper.get(),
                                        .audit = audit.get(),
                                        .serving = mirror == nullptr || mirror->ready(),
                                        .others = other_methods.get(),
                                        .connections = &connections,
                                        .broken = TellOfBroken},
                                       services);
  if (!server.ok()) return server.status();
  public_server = *std::move(server);
  memory_driver = std::make_unique<TickThread>(TickThread::Options{.name = "memory"}, [] {
    models::ReturnFreedMemory(kFreedBytes);
    return kFreedPause;
  });
  return absl::OkStatus();
}

absl::Status ServerParts::ServeClients() {
  StartPublishing();
  StartClassifier(versions.get());
  // Before anything is restored, so that no new version falls between the two.
  model_signal->SetFollow([this, publish = registry_driver->kick()](const std::string& model) {
    classifier->versions().Follow(model);
    publish();
  });
  // Ready means warm.
  classifier->versions().Restore();
  StartTaskQueues();
  MakeJobServices();
  MakeModelServices();
  MakeInferenceServices();
  MakeOperatorServices();
  return Listen(
      {{v1::TrainingService::service_full_name(), training_service.get()},
       {v1::ExperimentService::service_full_name(), experiment_service.get()},
       {v1::DatasetService::service_full_name(), dataset_service.get()},
       {v1::ModelService::service_full_name(), model_service.get()},
       {v1::InferenceService::service_full_name(), inference_service.get()},
       {v1::MonitoringService::service_full_name(), monitoring_service.get()},
       {v1::AdminService::service_full_name(), admin_service.get()},
       {inference::GRPCInferenceService::service_full_name(), open_inference_service.get()}});
}

}  // namespace atelier::server
