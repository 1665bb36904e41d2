// What the server is made of, and how each part is made from those before it.
#ifndef ATELIER_SERVER_SERVER_PARTS_H_
#define ATELIER_SERVER_SERVER_PARTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/access/audit_log.h"
#include "server/access/gatekeeper.h"
#include "server/base/short_address.h"
#include "server/base/system_clock.h"
#include "server/base/task_queue.h"
#include "server/base/tick_thread.h"
#include "server/job_log.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/event_log.h"
#include "server/jobs/executor.h"
#include "server/jobs/experiment_controller.h"
#include "server/jobs/experiment_signal.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_driver.h"
#include "server/jobs/spec_resolver.h"
#include "server/launch/session_host.h"
#include "server/launch/worker_service.h"
#include "server/metrics/server_metrics.h"
#include "server/registry/registry_mirror.h"
#include "server/registry/registry_place.h"
#include "server/registry/registry_publisher.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/call_memory.h"
#include "server/rpc/corked_connections.h"
#include "server/rpc/dataset_service.h"
#include "server/rpc/experiment_service.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/monitoring_service.h"
#include "server/rpc/open_inference_service.h"
#include "server/rpc/other_methods.h"
#include "server/rpc/peer_connections.h"
#include "server/rpc/replica_model_service.h"
#include "server/rpc/stream_set.h"
#include "server/rpc/training_service.h"
#include "server/server_options.h"
#include "server/serving/classifier.h"
#include "server/store/data_directory.h"
#include "server/store/sqlite_store.h"
#include "server/tensorboard/event_files.h"
#include "server/transfers/attempt_files.h"
#include "server/uploads/upload_folder.h"
#include "server/views/dataset_catalog.h"
#include "server/views/model_viewer.h"
#include "server/webhooks/http_poster.h"
#include "server/webhooks/webhook_sender.h"
#include "server/wiring/catalog_facts.h"
#include "server/wiring/model_signal.h"
#include "server/wiring/registry_versions.h"

namespace atelier::server {

// In the order in which they are made; they go in the opposite one. Used by one thread. Errors are
// one sentence for the operator. A serving replica has only some of them.
struct ServerParts {
  rpc::GrpcThreads grpc_threads;
  ServerOptions options;
  SystemClock clock;
  std::unique_ptr<access::Gatekeeper> gatekeeper;

  std::unique_ptr<store::DataDirectory> data_directory;
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<metrics::ServerMetrics> metrics;
  std::unique_ptr<jobs::ArtifactStore> artifacts;
  std::unique_ptr<registry::RegistryPublisher> publisher;
  std::unique_ptr<registry::RegistryPlace> place;    // Of a serving replica,
  std::unique_ptr<registry::RegistryMirror> mirror;  // and this.
  std::unique_ptr<access::AuditLog> audit;           // Null if there is none.
  std::unique_ptr<JobLog> job_log;
  std::unique_ptr<wiring::ModelSignal> model_signal;
  std::unique_ptr<jobs::ExperimentSignal> experiment_signal;

  // What there is to train on, and what came of it.
  std::unique_ptr<views::DatasetCatalog> catalog;
  std::unique_ptr<uploads::UploadFolder> uploads;
  std::unique_ptr<wiring::CatalogFacts> catalog_facts;
  std::unique_ptr<wiring::RegistryVersions> versions;
  std::unique_ptr<views::ModelViewer> viewer;

  // Jobs and their workers.
  std::unique_ptr<jobs::Executor> executor;
  std::unique_ptr<jobs::SpecResolver> resolver;
  std::unique_ptr<jobs::EventLog> events;
  std::unique_ptr<tensorboard::EventFiles> event_files;
  std::unique_ptr<webhooks::CurlPoster> poster;
  std::unique_ptr<webhooks::WebhookSender> webhook_sender;
  std::unique_ptr<jobs::JobController> controller;
  std::unique_ptr<jobs::ExperimentController> experiments;
  std::unique_ptr<launch::ControllerSessionHost> session_host;
  std::unique_ptr<transfers::AttemptFiles> attempt_files;
  std::unique_ptr<launch::WorkerService> worker_service;
  std::unique_ptr<TaskQueue> session_tasks;
  std::unique_ptr<TaskQueue> transfer_tasks;
  std::unique_ptr<ShortAddress> worker_address;
  std::unique_ptr<rpc::GrpcServer> worker_server;

  // Clients.
  rpc::PeerConnections connections;
  rpc::CorkedConnections corked_connections{&connections};
  std::unique_ptr<serving::Classifier> classifier;
  std::unique_ptr<rpc::CallMemory> call_memory;
  std::unique_ptr<TaskQueue> tasks;
  std::unique_ptr<TaskQueue> loading_tasks;  // For calls that wait for versions to be loaded.
  std::unique_ptr<TaskQueue> picture_tasks;
  std::unique_ptr<TaskQueue> dataset_tasks;
  std::unique_ptr<TaskQueue> upload_tasks;
  std::unique_ptr<rpc::StreamSet> streams;
  std::unique_ptr<rpc::TrainingService> training_service;
  std::unique_ptr<rpc::ExperimentService> experiment_service;
  std::unique_ptr<rpc::DatasetService> dataset_service;
  std::unique_ptr<rpc::ModelService> model_service;
  std::unique_ptr<rpc::ReplicaModelService> replica_model_service;
  std::unique_ptr<rpc::InferenceService> inference_service;
  std::unique_ptr<rpc::OpenInferenceService> open_inference_service;
  std::unique_ptr<rpc::MonitoringService> monitoring_service;
  std::unique_ptr<rpc::AdminService> admin_service;
  std::unique_ptr<rpc::OtherMethods> other_methods;  // Of a serving replica.
  std::unique_ptr<rpc::GrpcServer> public_server;

  std::unique_ptr<jobs::JobDriver> driver;
  std::unique_ptr<TickThread> experiment_driver;
  std::unique_ptr<TickThread> upload_driver;
  std::unique_ptr<TickThread> webhook_driver;
  std::unique_ptr<TickThread> access_driver;
  std::unique_ptr<TickThread> registry_driver;  // Publishes, or follows.
  std::unique_ptr<TickThread> memory_driver;    // Returns what an overload leaves.

  ~ServerParts();

  // server_parts.cc and server_replica.cc: everything of a server, and of a serving replica.
  absl::Status Start();
  absl::Status StartReplica();

  // server_parts.cc: access, data, metrics and catalogs.
  absl::Status OpenAccess();
  absl::Status OpenData();
  absl::Status StartMetrics();
  absl::Status OpenArtifacts();
  absl::Status OpenAudit();
  absl::Status OpenCatalogs();

  // server_jobs.cc: jobs, experiments and workers.
  void StartEventFiles();
  void StartWebhooks();
  absl::Status StartJobs();
  absl::Status StartExperiments();
  // Lets jobs and experiments go on by themselves.
  void Drive();
  absl::Status ServeWorkers();

  // server_clients.cc: what clients call.
  // With the versions of `source`, which must live as long.
  void StartClassifier(serving::VersionSource* source);
  void StartTaskQueues();
  void StartPublishing();
  void MakeJobServices();
  void MakeModelServices();
  // What servers and replicas have alike; needs classifier and task queues.
  void MakeInferenceServices();
  void MakeOperatorServices();
  absl::Status Listen(const std::vector<rpc::NamedService>& services);
  absl::Status ServeClients();

  // server_replica.cc: what only serving replicas have.
  absl::Status OpenReplicaDirectory();
  absl::Status OpenRegistry();
  absl::Status ServeReplicaClients();
  void FollowRegistry();
};

// Writes a sentence into the log, as a warning.
void Warn(const std::string& sentence);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_SERVER_PARTS_H_
