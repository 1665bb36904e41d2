// ServerParts: access, data, metrics and catalogs.
#include "server/server_parts.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/torch/libtorch_version.h"
#include "server/artifact_stores.h"
#include "server/logging.h"
#include "server/upkeep/backup.h"
#include "server/upkeep/restore.h"
#include "spdlog/spdlog.h"

namespace atelier::server {

void Warn(const std::string& sentence) { spdlog::warn("{}", sentence); }

// Jobs may end while the classifier goes.
ServerParts::~ServerParts() {
  if (model_signal != nullptr) model_signal->SetFollow({});
}

absl::Status ServerParts::Start() {
  absl::Status status = OpenAccess();
  if (status.ok()) status = OpenData();
  if (status.ok()) status = StartMetrics();
  if (status.ok()) status = OpenArtifacts();
  if (status.ok()) status = OpenAudit();
  if (status.ok()) status = OpenCatalogs();
  if (status.ok()) status = StartJobs();
  if (status.ok()) status = StartExperiments();
  if (status.ok()) status = ServeWorkers();
  if (status.ok()) status = ServeClients();
  // Only now, so that a server that cannot listen starts no worker.
  if (status.ok()) Drive();
  return status;
}

absl::Status ServerParts::OpenAccess() {
  access::Gatekeeper::Options asking;
  asking.file = options.access_file;
  asking.certificates = options.tls.has_value() && !options.tls->client_authorities.empty();
  asking.log = &Warn;
  auto opened = access::Gatekeeper::Open(std::move(asking), &clock);
  if (!opened.ok()) return opened.status();
  gatekeeper = *std::move(opened);
  return absl::OkStatus();
}

absl::Status ServerParts::OpenData() {
  auto directory = store::DataDirectory::Open(options.data_dir);
  if (!directory.ok()) return directory.status();
  data_directory = *std::move(directory);
  absl::Status usable = upkeep::CheckRestored(data_directory->path());
  if (usable.ok()) usable = upkeep::RemoveLeftBackup(data_directory->path());
  if (!usable.ok()) return usable;
  auto database =
      store::SqliteStore::Open(data_directory->database_path(), {.notify_url = options.notify_url});
  if (!database.ok()) return database.status();
  store = *std::move(database);
  return absl::OkStatus();
}

absl::Status ServerParts::StartMetrics() {
  metrics::ServerMetrics::Options counting;
  counting.page.host = options.metrics_listen.host;
  counting.page.port = options.metrics_listen.port;
  counting.page.version = ATELIER_VERSION;
  if (options.metrics_token) {
    counting.page.admit = [this](const std::string& token) { return gatekeeper->MayRead(token); };
  }
  if (options.metrics_tls) {
    counting.page.identity = [files = *options.tls]() {
      return tls::ReadIdentity({"--tls_cert", files.certificate}, {"--tls_key", files.key});
    };
  }
  counting.page.libtorch_version = models::LibTorchVersion();
  counting.jobs.worker_cores =
      options.IsReplica() ? 0 : options.workers * options.threads_per_worker;
  counting.jobs.queue_capacity = static_cast<std::size_t>(options.max_queued_jobs);
  counting.serving.max_versions = std::max(counting.serving.max_versions,
                                           2 * static_cast<std::size_t>(options.serving_versions));
  counting.dropped_log_lines = &DroppedLogLines;
  counting.data_dir = data_directory->path();
  auto started = metrics::ServerMetrics::Start(counting, &clock);
  if (!started.ok()) return started.status();
  metrics = *std::move(started);
  gatekeeper->SetObserver(metrics->access());
  job_log = std::make_unique<JobLog>();
  model_signal = std::make_unique<wiring::ModelSignal>();
  experiment_signal = std::make_unique<jobs::ExperimentSignal>();
  return absl::OkStatus();
}

absl::Status ServerParts::OpenArtifacts() {
  auto made = MakeArtifacts(options, {.clock = &clock,
                                      .database = store.get(),
                                      .observer = metrics->objects(),
                                      .data_dir = data_directory->path(),
                                      .log = &Warn});
  if (!made.ok()) return made.status();
  artifacts = std::move(made->store);
  publisher = std::make_unique<registry::RegistryPublisher>(
      registry::RegistryPublisher::Options{
          .data_dir = data_directory->path(), .keep = std::move(made->keep_registry), .log = &Warn},
      store.get(), metrics->registry());
  return absl::OkStatus();
}

absl::Status ServerParts::OpenAudit() {
  if (options.audit_space == 0) return absl::OkStatus();
  access::AuditLog::Options auditing;
  auditing.files.folder = absl::StrCat(data_directory->path(), "/audit");
  auditing.files.file_bytes = std::min(auditing.files.file_bytes, options.audit_space / 2);
  auditing.files.files = static_cast<int>(options.audit_space / auditing.files.file_bytes);
  auditing.observer = metrics->access();
  auditing.log = &Warn;
  auto opened = access::AuditLog::Open(std::move(auditing));
  if (!opened.ok()) return opened.status();
  audit = *std::move(opened);
  return absl::OkStatus();
}

absl::Status ServerParts::OpenCatalogs() {
  catalog = std::make_unique<views::DatasetCatalog>(
      options.datasets, views::DatasetCatalog::Options{.cache_dir = artifacts->DatasetCacheDir()});
  auto opened = uploads::UploadFolder::Open(
      {.folder = artifacts->UploadsDir(), .space = options.dataset_space, .log = &Warn}, &clock);
  if (!opened.ok()) return opened.status();
  uploads = *std::move(opened);
  catalog_facts =
      std::make_unique<wiring::CatalogFacts>(catalog.get(), store.get(), artifacts.get());
  versions = std::make_unique<wiring::RegistryVersions>(store.get(), artifacts.get());
  viewer = std::make_unique<views::ModelViewer>(versions.get());
  return absl::OkStatus();
}

}  // namespace atelier::server
