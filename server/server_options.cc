#include "server/server_options.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/files/durable_file.h"
#include "models/network/training_options.h"
#include "proto/tls/pem_files.h"
#include "server/base/ip_network.h"
#include "server/base/machine.h"
#include "server/base/wrong_flag.h"
#include "server/jobs/notify_url.h"
#include "server/jobs/resource_names.h"
#include "server/role_flags.h"

namespace atelier::server {
namespace {

constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";
constexpr int kRemoteCores = 4;
constexpr std::int64_t kMinDatasetSpace = std::int64_t{1} << 20;
constexpr std::int64_t kMinTransferRate = std::int64_t{64} << 10;
constexpr std::int64_t kMinAuditSpace = std::int64_t{1} << 20;
constexpr std::int64_t kMaxAuditSpace = std::int64_t{1} << 40;
constexpr std::int64_t kMaxDatasetSpace = std::int64_t{1} << 50;

absl::Status CheckRange(absl::string_view flag, std::int64_t value, std::int64_t low,
                        std::int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return WrongFlag(flag, absl::StrCat(value, " is out of range (", low, " to ", high, ")"));
}

absl::Status CheckRange(absl::string_view flag, absl::Duration value, absl::Duration low,
                        absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return WrongFlag(
      flag, absl::StrCat(absl::FormatDuration(value), " is out of range (",
                         absl::FormatDuration(low), " to ", absl::FormatDuration(high), ")"));
}

absl::StatusOr<std::string> DataDirectoryOf(const ServerFlags& flags) {
  std::filesystem::path path = flags.data_dir;
  const char* const data_home = std::getenv("XDG_DATA_HOME");
  const char* const home = std::getenv("HOME");
  if (path.empty() && data_home != nullptr && data_home[0] == '/') {
    path = std::filesystem::path(data_home) / "atelier";
  } else if (path.empty() && home != nullptr && home[0] == '/') {
    path = std::filesystem::path(home) / ".local/share/atelier";
  }
  if (path.empty()) return WrongFlag("data_dir", "there is no home directory; give a folder");
  std::error_code error;
  path = std::filesystem::absolute(path, error);
  if (error) return WrongFlag("data_dir", absl::StrCat(path.string(), ": ", error.message()));
  return path.lexically_normal().string();
}

absl::StatusOr<ListenAddress> ParseFlag(absl::string_view flag, const std::string& text) {
  auto address = ListenAddress::Parse(text);
  if (!address.ok()) return WrongFlag(flag, address.status().message());
  return address;
}

// Where workers on other machines dial.
absl::Status ReadWorkerAddress(const ServerFlags& flags, ServerOptions* options) {
  const char* const flag = flags.worker_address.empty() ? "worker_listen" : "worker_address";
  ListenAddress address = options->worker_listen;
  if (!flags.worker_address.empty()) {
    auto given = ParseFlag(flag, flags.worker_address);
    if (!given.ok()) return given.status();
    address = *std::move(given);
  }
  if (!options->worker_listen.socket.empty() || !address.socket.empty()) {
    return WrongFlag(
        !address.socket.empty() ? flag : "worker_listen",
        absl::StrCat((address.socket.empty() ? options->worker_listen : address).ToString(),
                     " is a socket of this machine, but workers dial "
                     "from others; give HOST:PORT, by which they reach this machine"));
  }
  if (address.host == "0.0.0.0" || address.host == "[::]" || address.port == 0) {
    return WrongFlag(flag,
                     absl::StrCat(address.ToString(),
                                  " names no machine and port, and workers are given this address "
                                  "to dial; give the one by which they reach this machine, by "
                                  "--worker_address if it is another one"));
  }
  options->worker_address = address.ToString();
  return absl::OkStatus();
}

// What workers on other machines exchange with the server and with each other.
absl::Status ReadTransfers(const ServerFlags& flags, ServerOptions* options) {
  const std::string& folder = flags.worker_cache_dir;
  if (!folder.empty() && !options->WorkersAreRemote()) {
    return WrongFlag("worker_cache_dir",
                     "workers of this machine see the data directory; it is for "
                     "--executor=slurm and --executor=kubernetes");
  }
  if (!folder.empty() && (folder[0] != '/' || folder == "/")) {
    return WrongFlag("worker_cache_dir",
                     absl::StrCat("'", folder,
                                  "' is not the absolute path of a folder, such as "
                                  "/var/cache/atelier"));
  }
  absl::Status status = CheckRange("worker_cache_bytes", flags.worker_cache_bytes, kMinDatasetSpace,
                                   kMaxDatasetSpace);
  if (flags.transfer_rate != 0) {
    status.Update(
        CheckRange("transfer_rate", flags.transfer_rate, kMinTransferRate, kMaxDatasetSpace));
  }
  if (!flags.rank_network.empty() && !options->WorkersAreRemote()) {
    return WrongFlag("rank_network",
                     "the nodes of a job are processes of this machine; it is for "
                     "--executor=slurm and --executor=kubernetes");
  }
  if (!flags.rank_network.empty()) {
    const auto network = IpNetwork::Parse(flags.rank_network);
    if (!network.ok()) return WrongFlag("rank_network", network.status().message());
  }
  options->rank_network = flags.rank_network;
  options->worker_cache_dir = folder;
  options->worker_cache_bytes = flags.worker_cache_bytes;
  options->transfer_rate = flags.transfer_rate;
  return status;
}

absl::Status ReadExecutor(const ServerFlags& flags, ServerOptions* options) {
  options->executor = flags.executor;
  options->max_jobs = flags.max_jobs;
  for (const auto& [name, value] : flags.executor_settings) {
    if (value.empty()) continue;
    if (!absl::StartsWith(name, absl::StrCat(flags.executor, "_"))) {
      return WrongFlag(name, absl::StrCat("it has no effect with --executor=", flags.executor));
    }
    options->executor_settings.emplace(name, value);
  }
  if (auto status = ReadTransfers(flags, options); !status.ok()) return status;
  if (options->WorkersAreRemote()) {
    const absl::Status range =
        flags.max_jobs == 0 ? absl::OkStatus() : CheckRange("max_jobs", flags.max_jobs, 1, 10'000);
    return range.ok() ? ReadWorkerAddress(flags, options) : range;
  }
  if (!flags.worker_address.empty()) {
    return WrongFlag("worker_address", "workers of this machine dial --worker_listen");
  }
  if (flags.max_jobs != 0) {
    return WrongFlag(
        "max_jobs",
        "on this machine --workers and --threads_per_worker say how many jobs run at once");
  }
  return absl::OkStatus();
}

absl::Status ReadSandbox(const ServerFlags& flags, ServerOptions* options) {
  const std::string& mode = flags.worker_sandbox;
  if (mode != "best_effort" && mode != "required" && mode != "off") {
    return WrongFlag("worker_sandbox",
                     absl::StrCat("'", mode, "' is not best_effort, required or off"));
  }
  options->worker_sandbox = mode;
  return absl::OkStatus();
}

absl::Status ReadArtifacts(const ServerFlags& flags, ServerOptions* options) {
  options->artifacts = flags.artifacts;
  options->artifact_cache = flags.artifact_cache;
  for (const auto& [name, value] : flags.artifact_settings) {
    if (value.empty() || value == "auto") continue;
    if (flags.artifacts.empty() && !absl::StartsWith(flags.registry, "s3://")) {
      return WrongFlag(name, "it has no effect without --artifacts=s3://… or --registry=s3://…");
    }
    options->artifact_settings.emplace(name, value);
  }
  return CheckRange("artifact_cache", flags.artifact_cache, 0, kMaxDatasetSpace);
}

absl::Status CheckExposure(absl::string_view flag, const ListenAddress& address,
                           const ServerFlags& flags) {
  if (address.IsLocal() || !flags.tls_cert.empty() || flags.allow_insecure) return absl::OkStatus();
  return WrongFlag(flag,
                   absl::StrCat(address.ToString(),
                                " can be reached from other machines, so anyone could use this "
                                "server and read its traffic; give --tls_cert and --tls_key, or "
                                "--allow_insecure to allow that"));
}

absl::Status ReadAddresses(const ServerFlags& flags, ServerOptions* options) {
  auto listen = ParseFlag("listen", flags.listen);
  if (!listen.ok()) return listen.status();
  options->listen = *std::move(listen);
  auto metrics = ParseFlag("metrics_listen", flags.metrics_listen);
  if (!metrics.ok()) return metrics.status();
  if (!metrics->socket.empty()) {
    return WrongFlag("metrics_listen", "give HOST:PORT, such as 127.0.0.1:9464");
  }
  options->metrics_listen = *std::move(metrics);
  if (flags.worker_listen.empty()) {
    // Of any length: server and workers shorten it (short_address.h).
    options->worker_listen.socket = options->data_dir + "/worker.sock";
  } else {
    auto worker = ParseFlag("worker_listen", flags.worker_listen);
    if (!worker.ok()) return worker.status();
    if (worker->socket.empty() && worker->port == 0) {
      return WrongFlag(
          "worker_listen",
          "port 0 would pick another port after a restart, but workers reconnect to the "
          "old one; give a port");
    }
    options->worker_listen = *std::move(worker);
  }
  absl::Status status = CheckExposure("listen", options->listen, flags);
  status.Update(CheckExposure("worker_listen", options->worker_listen, flags));
  return status;
}

absl::StatusOr<std::string> AbsolutePath(absl::string_view flag, const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return WrongFlag(flag, absl::StrCat(path, ": ", error.message()));
  return absolute.lexically_normal().string();
}

absl::Status ReadRegistry(const ServerFlags& flags, ServerOptions* options) {
  if (auto status = CheckRole(flags); !status.ok()) return status;
  if (flags.registry.empty() || absl::StartsWith(flags.registry, "s3://")) {
    options->registry = flags.registry;
    return absl::OkStatus();
  }
  auto folder = AbsolutePath("registry", flags.registry);
  if (!folder.ok()) return folder.status();
  options->registry = *std::move(folder);
  return absl::OkStatus();
}

absl::Status ReadTls(const ServerFlags& flags, ServerOptions* options) {
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    return flags.tls_cert.empty()
               ? WrongFlag("tls_key", "it needs --tls_cert, the certificate of this key")
               : WrongFlag("tls_cert", "it needs its key, --tls_key");
  }
  if (flags.tls_cert.empty()) {
    return flags.tls_client_ca.empty()
               ? absl::OkStatus()
               : WrongFlag("tls_client_ca", "it needs --tls_cert and --tls_key as well");
  }
  TlsFiles files;
  const std::tuple<const char*, const std::string&, std::string*> paths[] = {
      {"tls_cert", flags.tls_cert, &files.certificate},
      {"tls_key", flags.tls_key, &files.key},
      {"tls_client_ca", flags.tls_client_ca, &files.client_authorities}};
  for (const auto& [flag, path, target] : paths) {
    if (path.empty()) continue;
    auto absolute = AbsolutePath(flag, path);
    if (!absolute.ok()) return absolute.status();
    *target = *std::move(absolute);
  }
  const auto identity =
      tls::ReadIdentity({"--tls_cert", files.certificate}, {"--tls_key", files.key});
  if (!identity.ok()) return identity.status();
  if (!files.client_authorities.empty()) {
    const auto authorities = tls::ReadAuthorities({"--tls_client_ca", files.client_authorities});
    if (!authorities.ok()) return authorities.status();
  }
  options->tls = std::move(files);
  return absl::OkStatus();
}

absl::Status ReadAccess(const ServerFlags& flags, ServerOptions* options) {
  if (flags.access_file.empty()) return absl::OkStatus();
  if (!options->listen.IsLocal() && !options->tls.has_value()) {
    return WrongFlag(
        "access_file",
        absl::StrCat("tokens would travel to ", options->listen.ToString(),
                     " from other machines in plain text; give --tls_cert and --tls_key"));
  }
  auto absolute = AbsolutePath("access_file", flags.access_file);
  if (!absolute.ok()) return absolute.status();
  options->access_file = *std::move(absolute);
  return absl::OkStatus();
}

absl::Status ReadMetricsAccess(const ServerFlags& flags, ServerOptions* options) {
  if (flags.metrics_token && options->access_file.empty()) {
    return WrongFlag("metrics_token", "it needs --access_file, whose tokens the page accepts");
  }
  if (flags.metrics_tls && !options->tls.has_value()) {
    return WrongFlag("metrics_tls", "it needs --tls_cert and --tls_key, which the page then shows");
  }
  if (flags.metrics_token && !flags.metrics_tls && !options->metrics_listen.IsLocal()) {
    return WrongFlag("metrics_token",
                     absl::StrCat("tokens would travel to ", options->metrics_listen.ToString(),
                                  " from other machines in plain text; give --metrics_tls"));
  }
  options->metrics_token = flags.metrics_token;
  options->metrics_tls = flags.metrics_tls;
  return absl::OkStatus();
}

absl::Status ReadDatasets(const ServerFlags& flags, ServerOptions* options) {
  for (const std::string& entry : flags.datasets) {
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == entry.size() ||
        !jobs::IsSlug(name, jobs::kMaxDatasetName)) {
      return WrongFlag("datasets",
                       absl::StrCat("'", entry,
                                    "' is not NAME=FOLDER with a name of a-z, 0-9 and '-', "
                                    "such as kmnist=/srv/kmnist"));
    }
    std::error_code error;
    const auto folder = std::filesystem::absolute(entry.substr(equals + 1), error);
    if (error) return WrongFlag("datasets", absl::StrCat(entry, ": ", error.message()));
    if (!options->datasets.emplace(name, folder.lexically_normal().string()).second) {
      return WrongFlag("datasets", absl::StrCat("'", name, "' is given twice"));
    }
  }
  std::error_code error;
  if (std::filesystem::is_directory(kFashionMnist, error)) {
    options->datasets.emplace("fashion-mnist", kFashionMnist);
  }
  return absl::OkStatus();
}

absl::Status ReadNotices(const ServerFlags& flags, ServerOptions* options) {
  constexpr std::size_t kMinSecret = 16;
  constexpr std::size_t kMaxSecret = 1000;
  if (!flags.notify_url.empty()) {
    const std::string problem = jobs::NotifyUrlProblem(flags.notify_url);
    if (!problem.empty()) return WrongFlag("notify_url", problem);
  }
  options->notify_url = flags.notify_url;
  options->notify_private_addresses = flags.notify_private_addresses;
  if (flags.notify_secret_file.empty()) return absl::OkStatus();
  const auto content = models::ReadWholeFile(flags.notify_secret_file, 2 * kMaxSecret);
  if (!content.ok()) return WrongFlag("notify_secret_file", content.status().message());
  options->notify_secret = std::string(absl::StripSuffix(*content, "\n"));
  const std::size_t size = options->notify_secret.size();
  if (size < kMinSecret || size > kMaxSecret || absl::StrContains(options->notify_secret, '\n')) {
    return WrongFlag(
        "notify_secret_file",
        absl::StrCat(flags.notify_secret_file, " is not one line of ", kMinSecret, " to ",
                     kMaxSecret, " characters, such as `openssl rand -hex 32` prints"));
  }
  return absl::OkStatus();
}

absl::Status ReadServingDevice(const ServerFlags& flags, ServerOptions* options) {
  const std::string& device = flags.serving_device;
  if (device != "cpu" && device != "cuda" && device != "auto") {
    return WrongFlag("serving_device", absl::StrCat("'", device, "' is not cpu, cuda or auto"));
  }
  const bool there = device != "cpu" && models::CudaAvailable();
  if (device == "cuda" && !there) {
    return WrongFlag("serving_device", "LibTorch finds no usable GPU; use cpu");
  }
  options->serving_on_gpu = there;
  return absl::OkStatus();
}

absl::Status ReadNumbers(const ServerFlags& flags, ServerOptions* options) {
  const int cores = UsableCores();
  absl::Status status = CheckRange("workers", flags.workers, 1, 1024);
  status.Update(
      CheckRange("dataset_space", flags.dataset_space, kMinDatasetSpace, kMaxDatasetSpace));
  if (flags.audit_space != 0) {
    status.Update(CheckRange("audit_space", flags.audit_space, kMinAuditSpace, kMaxAuditSpace));
  }
  status.Update(CheckRange("threads_per_worker", flags.threads_per_worker, 0, 1024));
  status.Update(CheckRange("serving_threads", flags.serving_threads, 0, 1024));
  status.Update(CheckRange("serving_versions", flags.serving_versions, 1, 10'000));
  status.Update(
      CheckRange("serving_idle", flags.serving_idle, absl::Seconds(1), absl::Hours(87'600)));
  status.Update(
      CheckRange("batch_delay", flags.batch_delay, absl::ZeroDuration(), absl::Seconds(1)));
  status.Update(CheckRange("max_queued_jobs", flags.max_queued_jobs, 1, 100'000));
  status.Update(CheckRange("kept_checkpoints", flags.kept_checkpoints, 0, 10'000));
  status.Update(CheckRange("lease", flags.lease, absl::Seconds(1), absl::Hours(24)));
  status.Update(
      CheckRange("shutdown_grace", flags.shutdown_grace, absl::ZeroDuration(), absl::Hours(1)));
  if (!status.ok()) return status;
  options->dataset_space = flags.dataset_space;
  options->audit_space = flags.audit_space;
  options->workers = flags.workers;
  options->threads_per_worker = flags.threads_per_worker;
  if (flags.threads_per_worker == 0) {
    // This machine's cores say nothing of a cluster's nodes.
    options->threads_per_worker =
        options->WorkersAreRemote() ? kRemoteCores : std::max(1, cores / flags.workers);
  }
  options->serving_threads = flags.serving_threads > 0 ? flags.serving_threads : cores;
  options->serving_versions = flags.serving_versions;
  options->serving_idle = flags.serving_idle;
  options->batch_delay = flags.batch_delay;
  options->max_queued_jobs = flags.max_queued_jobs;
  options->kept_checkpoints = flags.kept_checkpoints;
  options->lease = flags.lease;
  options->shutdown_grace = flags.shutdown_grace;
  return absl::OkStatus();
}

}  // namespace

std::string ServerOptions::MetricsWarning() const {
  if (metrics_listen.IsLocal() || (metrics_tls && metrics_token)) return "";
  return absl::StrCat("--metrics_listen: ", metrics_listen.ToString(),
                      " can be read from other machines, without ",
                      metrics_tls ? "authentication" : "TLS or authentication",
                      "; the page names jobs, models and data sets. --metrics_tls and "
                      "--metrics_token protect it.");
}

std::string ServerOptions::AccessWarning() const {
  const bool certificates = tls.has_value() && !tls->client_authorities.empty();
  if (listen.IsLocal() || certificates || !access_file.empty()) return "";
  return absl::StrCat("--listen: everybody who can reach ", listen.ToString(),
                      " may do everything; give --access_file or --tls_client_ca to ask callers "
                      "who they are.");
}

absl::StatusOr<ServerOptions> ServerOptions::Create(const ServerFlags& flags) {
  ServerOptions options;
  auto data_dir = DataDirectoryOf(flags);
  if (!data_dir.ok()) return data_dir.status();
  options.data_dir = *std::move(data_dir);
  options.worker_binary = flags.worker_binary;
  for (const auto read :
       {ReadRegistry, ReadAddresses, ReadSandbox, ReadExecutor, ReadArtifacts, ReadTls, ReadAccess,
        ReadMetricsAccess, ReadDatasets, ReadServingDevice, ReadNotices, ReadNumbers}) {
    if (absl::Status status = read(flags, &options); !status.ok()) return status;
  }
  return options;
}

}  // namespace atelier::server
