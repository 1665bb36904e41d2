// ServerParts: a serving replica, which has the models of another server and nothing of its own.
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/artifact_stores.h"
#include "server/rpc/status.h"
#include "server/server_parts.h"

namespace atelier::server {

absl::Status ServerParts::StartReplica() {
  absl::Status status = OpenAccess();
  if (status.ok()) status = OpenReplicaDirectory();
  if (status.ok()) status = StartMetrics();
  if (status.ok()) status = OpenAudit();
  if (status.ok()) status = OpenRegistry();
  if (status.ok()) status = ServeReplicaClients();
  if (status.ok()) FollowRegistry();
  return status;
}

absl::Status ServerParts::OpenReplicaDirectory() {
  auto directory = store::DataDirectory::Open(options.data_dir);
  if (!directory.ok()) return directory.status();
  data_directory = *std::move(directory);
  std::error_code error;
  if (!std::filesystem::exists(data_directory->database_path(), error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("The data directory ", data_directory->path(),
                   " is that of a server, not of a serving replica; give the replica one of its "
                   "own by --data_dir, and this one by --registry to follow it."));
}

absl::Status ServerParts::OpenRegistry() {
  auto made = MakeRegistryPlace(options, &clock, metrics->objects());
  if (!made.ok()) return made.status();
  place = *std::move(made);
  registry::RegistryMirror::Options mirroring;
  // Only where archives are kept as well.
  if (place->fetches()) mirroring.copy_path = absl::StrCat(data_directory->path(), "/registry.pb");
  mirroring.log = &Warn;
  mirror = std::make_unique<registry::RegistryMirror>(std::move(mirroring), &clock, place.get(),
                                                      metrics->registry());
  mirror->Tick();
  return absl::OkStatus();
}

absl::Status ServerParts::ServeReplicaClients() {
  StartClassifier(mirror.get());
  // Ready means warm. Without a registry nothing can be restored, and what is remembered stays.
  if (mirror->ready()) classifier->versions().Restore();
  StartTaskQueues();
  MakeInferenceServices();
  MakeOperatorServices();
  replica_model_service = std::make_unique<rpc::ReplicaModelService>(mirror.get(), tasks.get());
  other_methods = std::make_unique<rpc::OtherMethods>(rpc::OnlyReplica());
  return Listen(
      {{v1::ModelService::service_full_name(), replica_model_service.get()},
       {v1::InferenceService::service_full_name(), inference_service.get()},
       {v1::MonitoringService::service_full_name(), monitoring_service.get()},
       {v1::AdminService::service_full_name(), admin_service.get()},
       {inference::GRPCInferenceService::service_full_name(), open_inference_service.get()}});
}

void ServerParts::FollowRegistry() {
  mirror->SetListener(
      {.ready =
           [this] {
             classifier->versions().Restore();
             public_server->SetServing(true);
           },
       .follow = [this](const std::string& model) { classifier->versions().Follow(model); },
       .forget = [this](const std::string& model,
                        std::int64_t version) { classifier->versions().Forget(model, version); }});
  registry_driver = std::make_unique<TickThread>(TickThread::Options{.name = "registry"},
                                                 [this] { return mirror->Tick(); });
  access_driver = std::make_unique<TickThread>(TickThread::Options{.name = "access"},
                                               [this] { return gatekeeper->Tick(); });
}

}  // namespace atelier::server
