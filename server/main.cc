// atelierd, the server: reads its flags, starts the server and stops it upon a signal.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "models/base/allocator.h"
#include "models/network/torch_library.h"
#include "proto/flags/duration.h"
#include "proto/flags/size.h"
#include "proto/flags/spelling.h"
#include "server/base/machine.h"
#include "server/logging.h"
#include "server/old_libraries.h"
#include "server/server.h"
#include "server/server_options.h"
#include "server/upkeep/check.h"
#include "server/upkeep/restore.h"
#include "spdlog/spdlog.h"

using atelier::flags::Duration;
using atelier::flags::Size;

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "Address for clients: HOST:PORT (port 0 picks a free port) or unix:PATH.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:9464",
          "Address of the Prometheus page /metrics: HOST:PORT (port 0 picks a free port).");
ABSL_FLAG(
    std::string, worker_listen, "",
    "Address for workers: unix:PATH or HOST:PORT. Default: worker.sock in the data directory.");
ABSL_FLAG(std::string, data_dir, "",
          "Data directory. Default: $XDG_DATA_HOME/atelier or ~/.local/share/atelier.");
ABSL_FLAG(std::vector<std::string>, datasets, {},
          "Data sets: NAME=FOLDER,… Debian's fashion-mnist is added if it is installed.");
ABSL_FLAG(Size, dataset_space, Size{std::int64_t{20} << 30},
          "Bytes for data sets that clients push: all versions and uploads together, from 1MiB.");
ABSL_FLAG(int, workers, 1, "Number of default-size jobs that train at the same time, 1 to 1024.");
ABSL_FLAG(int, threads_per_worker, 0,
          "Default number of cores of a job, up to 1024; 0 = usable cores divided by --workers, or "
          "4 where a cluster runs workers.");
ABSL_FLAG(int, serving_threads, 0,
          "Number of threads for inference, up to 1024; 0 = usable cores.");
ABSL_FLAG(std::string, serving_device, "cpu",
          "Device for inference: cpu, cuda (the first GPU) or auto (the GPU if there is one).");
ABSL_FLAG(
    int, serving_versions, 8,
    "Maximum number of model versions in memory, 1 to 10000; the least recently used is evicted.");
ABSL_FLAG(Duration, serving_idle, Duration{absl::Minutes(30)},
          "A model version that is idle for this long is evicted from memory; 1s to 87600h.");
ABSL_FLAG(Duration, batch_delay, Duration{absl::ZeroDuration()},
          "Maximum time that images wait for others to form a batch, 0 to 1s; 0 = no wait.");
ABSL_FLAG(
    int, kept_checkpoints, 20,
    "How many ended jobs keep their last checkpoint, the newest, so that `atelier continue` "
    "can go on from it; 0 keeps none. A checkpoint is about five times as large as its model");
ABSL_FLAG(int, max_queued_jobs, 1000,
          "Maximum number of queued jobs, 1 to 100000; more are refused.");
ABSL_FLAG(Duration, lease, Duration{absl::Seconds(30)},
          "Time without contact, 1s to 24h, after which a worker counts as lost and ends itself.");
ABSL_FLAG(Duration, shutdown_grace, Duration{absl::Seconds(30)},
          "Time that workers have to write checkpoints when the server stops, 0 to 1h.");
ABSL_FLAG(std::string, executor, "process",
          "What runs workers: process (on this machine), slurm (a Slurm cluster) or kubernetes.");
ABSL_FLAG(int, max_jobs, 0,
          "Maximum number of jobs that the cluster has at once, waiting or running, 1 to 10000; "
          "0 = 64. Not with --executor=process.");
ABSL_FLAG(std::string, slurm_partition, "", "Slurm partition of the jobs. Default: Slurm's.");
ABSL_FLAG(std::string, slurm_account, "", "Slurm account of the jobs. Default: the user's.");
ABSL_FLAG(std::string, slurm_qos, "", "Slurm quality of service of the jobs. Default: Slurm's.");
ABSL_FLAG(std::string, slurm_gres, "",
          "Generic resources of a job with device cuda, such as gpu:1. Empty: no such jobs.");
ABSL_FLAG(std::string, slurm_args, "",
          "Further arguments for sbatch, separated by spaces, each --NAME or --NAME=VALUE.");
ABSL_FLAG(std::string, slurm_allow, "",
          "Names of sbatch's arguments that jobs may give (train --slurm-args): time,qos,…");
ABSL_FLAG(std::string, slurm_bin, "", "Folder of Slurm's commands. Default: those in PATH.");
ABSL_FLAG(std::string, kubernetes_job_template, "",
          "File with the Job, as JSON, that Kubernetes runs a worker by.");
ABSL_FLAG(std::string, kubernetes_namespace, "",
          "Kubernetes namespace of the jobs. Default: the server's own, or `default`.");
ABSL_FLAG(std::string, kubernetes_api, "",
          "Kubernetes' API server, https://HOST:PORT. Default: that of the cluster that runs the "
          "server.");
ABSL_FLAG(std::string, kubernetes_token_file, "",
          "File with the token for Kubernetes' API server. Default: the pod's, in a cluster.");
ABSL_FLAG(
    std::string, kubernetes_ca_file, "",
    "Authority of the API server's certificate, a PEM file. Default: the pod's, in a cluster, "
    "else the system's.");
ABSL_FLAG(std::string, kubernetes_gpu_resource, "",
          "Resource of a job with device cuda, such as nvidia.com/gpu. Empty: no such jobs.");
ABSL_FLAG(
    std::string, worker_address, "",
    "Address that workers on other machines dial, HOST:PORT, where --worker_listen is not it: "
    "that of a Kubernetes Service, or of a forwarded port.");
ABSL_FLAG(
    std::string, worker_cache_dir, "",
    "Folder on the cluster's nodes for workers that do not see the data directory: they fetch "
    "what they read and send what they leave. Empty: the data directory is on every node.");
ABSL_FLAG(Size, worker_cache_bytes, Size{std::int64_t{20} << 30},
          "Bytes that data sets may take in --worker_cache_dir of a node, from 1MiB; the least "
          "recently used go.");
ABSL_FLAG(Size, transfer_rate, Size{0},
          "Bytes per second that all workers together fetch and send, from 64KiB. 0: no limit.");
ABSL_FLAG(std::string, rank_network, "",
          "Network in which the cluster's nodes exchange gradients, for jobs with --nodes, such as "
          "10.0.0.0/8: in plain TCP, neither encrypted nor authenticated. Empty: no such jobs.");
ABSL_FLAG(
    std::string, artifacts, "",
    "Keep what outlives jobs in an object store, too: s3://BUCKET/PREFIX. Default: in the data "
    "directory alone.");
ABSL_FLAG(Size, artifact_cache, Size{std::int64_t{20} << 30},
          "Bytes of files in the data directory that are in the object store as well; those used "
          "longest ago go.");
ABSL_FLAG(std::string, role, "all",
          "What the server does: all, or serving: a serving replica, which classifies with the "
          "models of another server.");
ABSL_FLAG(std::string, registry, "",
          "Of a serving replica: the data directory of the server whose models it serves, or the "
          "s3://BUCKET/PREFIX of that server's --artifacts.");
ABSL_FLAG(std::string, s3_endpoint, "",
          "Address of the S3-compatible store, http://HOST:PORT or https://HOST. Default: "
          "$AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL or Amazon's.");
ABSL_FLAG(std::string, s3_region, "",
          "The store's region. Default: $AWS_REGION, $AWS_DEFAULT_REGION or us-east-1.");
ABSL_FLAG(std::string, s3_path_style, "auto",
          "Whether the bucket stands in the path instead of the host name: true, false or auto "
          "(false with Amazon's store).");
ABSL_FLAG(std::string, worker_binary, "",
          "Path of the worker program. Default: atelier-worker in the folder of atelierd.");
ABSL_FLAG(
    std::string, worker_sandbox, "best_effort",
    "Walls around workers, by Landlock and seccomp: best_effort (as Linux has them where they "
    "run; their logs say what is missing), required (jobs fail without) or off.");
ABSL_FLAG(
    std::string, tls_cert, "",
    "The server's certificate chain, a PEM file. Enables TLS for clients and for workers that "
    "connect by TCP.");
ABSL_FLAG(std::string, tls_key, "", "The certificate's private key, a PEM file.");
ABSL_FLAG(std::string, tls_client_ca, "",
          "Require client certificates issued by these CAs, a PEM file (mutual TLS).");
ABSL_FLAG(
    std::string, access_file, "",
    "Ask callers who they are: file of tokens' hashes, names of client certificates and roles, "
    "see man atelierd. It is read again when it changes.");
ABSL_FLAG(Size, audit_space, Size{std::int64_t{64} << 20},
          "Bytes for the audit log, who changed what, from 1MiB; the oldest goes. 0 keeps none.");
ABSL_FLAG(bool, metrics_token, false,
          "Ask readers of the metrics page for a token of --access_file: as a bearer, or with any "
          "name by basic authentication.");
ABSL_FLAG(bool, metrics_tls, false, "Serve the metrics page over HTTPS, with --tls_cert.");
ABSL_FLAG(
    bool, check, false,
    "Verify the data directory (database, checksums of all files, files without a row), print "
    "a report and exit: with 0 if it is sound, with 1 otherwise. No server may use it.");
ABSL_FLAG(bool, repair, false,
          "As --check, and mend what can be mended. Files that belong to nothing are moved to the "
          "folder recovered of the data directory; nothing is deleted.");
ABSL_FLAG(std::string, restore, "",
          "Restore this file, a backup made by `atelier admin backup`, into the data directory, "
          "which must be empty, and exit.");
ABSL_FLAG(bool, allow_insecure, false,
          "Allow connections from other machines without TLS: anyone who can reach the address can "
          "use the server.");
ABSL_FLAG(std::string, notify_url, "",
          "URL that is told when a job ends, any job: the job is posted to it as JSON. "
          "`atelier train --notify` names one for a single job.");
ABSL_FLAG(std::string, notify_secret_file, "",
          "File with the secret that signs what is posted when jobs end: one line of 16 to 1000 "
          "characters.");
ABSL_FLAG(bool, notify_private_addresses, false,
          "Allow to post to private addresses and this machine when jobs end; anyone who can start "
          "a job can then reach what this machine can.");
ABSL_FLAG(std::string, log_format, "text", "Format of the log on standard error: text or json.");
ABSL_FLAG(std::string, log_level, "info",
          "Minimum level of log messages: trace, debug, info, warning or error.");

namespace atelier::server {
namespace {

constexpr int kFailure = 1;

// Abseil's own --help exits with 1.
void PrintHelp() {
  std::printf(
      "atelierd: trains, watches and serves small image classifiers.\n\n"
      "Usage: atelierd [--flag=value …]\n\n");
  std::vector<absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::EndsWith(flag->Filename(), "server/main.cc")) flags.push_back(flag);
  }
  std::sort(flags.begin(), flags.end(),
            [](const absl::CommandLineFlag* a, const absl::CommandLineFlag* b) {
              return a->Name() < b->Name();
            });
  for (const absl::CommandLineFlag* flag : flags) {
    std::printf("  --%s=%s\n      %s\n", std::string(flag->Name()).c_str(),
                flag->DefaultValue().c_str(), flag->Help().c_str());
  }
  std::printf(
      "  --flagfile=FILE\n      Reads flags from a file, one per line.\n"
      "  --help, --version\n      Print this help or the version, and exit.\n\n"
      "Durations are like 8 (seconds), 8s, 500ms or 2m, sizes like 20GiB. Dashes work in place of "
      "underscores.\n");
}

// Answers --help and --version; true if one of them was given.
bool AnswerQuestion(int argc, char** argv) {
  for (int i = 1; i < argc && std::string(argv[i]) != "--"; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      PrintHelp();
      return true;
    }
    if (argument == "--version" || argument == "-version") {
      std::printf("atelierd %s\n", ATELIER_VERSION);
      return true;
    }
  }
  return false;
}

bool IsFlag(absl::string_view name) {
  // `--noallow_insecure` sets a flag to false.
  absl::string_view negated = name;
  return absl::FindCommandLineFlag(name) != nullptr ||
         (absl::ConsumePrefix(&negated, "no") && absl::FindCommandLineFlag(negated) != nullptr);
}

absl::StatusOr<ServerOptions> ReadFlags(const std::vector<char*>& positional) {
  if (positional.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("Unexpected argument '", positional[1], "'; see atelierd --help."));
  }
  const absl::Status logging =
      SetUpLogging(absl::GetFlag(FLAGS_log_format), absl::GetFlag(FLAGS_log_level));
  if (!logging.ok()) return logging;
  ServerFlags flags;
  flags.listen = absl::GetFlag(FLAGS_listen);
  flags.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  flags.worker_listen = absl::GetFlag(FLAGS_worker_listen);
  flags.data_dir = absl::GetFlag(FLAGS_data_dir);
  flags.datasets = absl::GetFlag(FLAGS_datasets);
  flags.dataset_space = absl::GetFlag(FLAGS_dataset_space).bytes;
  flags.workers = absl::GetFlag(FLAGS_workers);
  flags.threads_per_worker = absl::GetFlag(FLAGS_threads_per_worker);
  flags.serving_threads = absl::GetFlag(FLAGS_serving_threads);
  flags.serving_device = absl::GetFlag(FLAGS_serving_device);
  flags.serving_versions = absl::GetFlag(FLAGS_serving_versions);
  flags.serving_idle = absl::GetFlag(FLAGS_serving_idle).value;
  flags.batch_delay = absl::GetFlag(FLAGS_batch_delay).value;
  flags.max_queued_jobs = absl::GetFlag(FLAGS_max_queued_jobs);
  flags.kept_checkpoints = absl::GetFlag(FLAGS_kept_checkpoints);
  flags.lease = absl::GetFlag(FLAGS_lease).value;
  flags.shutdown_grace = absl::GetFlag(FLAGS_shutdown_grace).value;
  flags.executor = absl::GetFlag(FLAGS_executor);
  flags.max_jobs = absl::GetFlag(FLAGS_max_jobs);
  flags.executor_settings = {
      {"slurm_partition", absl::GetFlag(FLAGS_slurm_partition)},
      {"slurm_account", absl::GetFlag(FLAGS_slurm_account)},
      {"slurm_qos", absl::GetFlag(FLAGS_slurm_qos)},
      {"slurm_gres", absl::GetFlag(FLAGS_slurm_gres)},
      {"slurm_args", absl::GetFlag(FLAGS_slurm_args)},
      {"slurm_allow", absl::GetFlag(FLAGS_slurm_allow)},
      {"slurm_bin", absl::GetFlag(FLAGS_slurm_bin)},
      {"kubernetes_job_template", absl::GetFlag(FLAGS_kubernetes_job_template)},
      {"kubernetes_namespace", absl::GetFlag(FLAGS_kubernetes_namespace)},
      {"kubernetes_api", absl::GetFlag(FLAGS_kubernetes_api)},
      {"kubernetes_token_file", absl::GetFlag(FLAGS_kubernetes_token_file)},
      {"kubernetes_ca_file", absl::GetFlag(FLAGS_kubernetes_ca_file)},
      {"kubernetes_gpu_resource", absl::GetFlag(FLAGS_kubernetes_gpu_resource)}};
  flags.worker_address = absl::GetFlag(FLAGS_worker_address);
  flags.worker_cache_dir = absl::GetFlag(FLAGS_worker_cache_dir);
  flags.worker_cache_bytes = absl::GetFlag(FLAGS_worker_cache_bytes).bytes;
  flags.transfer_rate = absl::GetFlag(FLAGS_transfer_rate).bytes;
  flags.rank_network = absl::GetFlag(FLAGS_rank_network);
  flags.artifacts = absl::GetFlag(FLAGS_artifacts);
  flags.artifact_cache = absl::GetFlag(FLAGS_artifact_cache).bytes;
  flags.role = absl::GetFlag(FLAGS_role);
  flags.registry = absl::GetFlag(FLAGS_registry);
  flags.artifact_settings = {{"s3_endpoint", absl::GetFlag(FLAGS_s3_endpoint)},
                             {"s3_region", absl::GetFlag(FLAGS_s3_region)},
                             {"s3_path_style", absl::GetFlag(FLAGS_s3_path_style)}};
  flags.worker_binary = absl::GetFlag(FLAGS_worker_binary);
  flags.worker_sandbox = absl::GetFlag(FLAGS_worker_sandbox);
  flags.tls_cert = absl::GetFlag(FLAGS_tls_cert);
  flags.tls_key = absl::GetFlag(FLAGS_tls_key);
  flags.tls_client_ca = absl::GetFlag(FLAGS_tls_client_ca);
  flags.access_file = absl::GetFlag(FLAGS_access_file);
  flags.audit_space = absl::GetFlag(FLAGS_audit_space).bytes;
  flags.metrics_token = absl::GetFlag(FLAGS_metrics_token);
  flags.metrics_tls = absl::GetFlag(FLAGS_metrics_tls);
  flags.allow_insecure = absl::GetFlag(FLAGS_allow_insecure);
  flags.notify_url = absl::GetFlag(FLAGS_notify_url);
  flags.notify_secret_file = absl::GetFlag(FLAGS_notify_secret_file);
  flags.notify_private_addresses = absl::GetFlag(FLAGS_notify_private_addresses);
  return ServerOptions::Create(flags);
}

// --check, --repair and --restore: what is done to a data directory without a server. Nothing if
// none of them was given.
std::optional<absl::StatusOr<bool>> Upkeep(const ServerOptions& options) {
  const std::string archive = absl::GetFlag(FLAGS_restore);
  const bool repair = absl::GetFlag(FLAGS_repair);
  if (archive.empty() && !repair && !absl::GetFlag(FLAGS_check)) return std::nullopt;
  if (options.IsReplica()) {
    return absl::InvalidArgumentError(
        "The data directory of a serving replica (--role=serving) holds nothing that --check, "
        "--repair and --restore are about.");
  }
  const std::string& data_dir = options.data_dir;
  const auto print = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  if (archive.empty()) {
    return upkeep::CheckDataDirectory({.data_dir = data_dir, .repair = repair, .print = print});
  }
  if (repair || absl::GetFlag(FLAGS_check)) {
    return absl::InvalidArgumentError("Give either --restore or --check and --repair.");
  }
  const auto restored = upkeep::Restore(archive, data_dir);
  if (!restored.ok()) return restored.status();
  print(absl::StrCat("Restored ", restored->files, " files, ", restored->bytes, " bytes, into ",
                     data_dir, "."));
  return true;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "atelierd: %s\n", std::string(status.message()).c_str());
  return kFailure;
}

int Main(int argc, char** argv) {
  // Debian's Abseil checks every lock for deadlocks, which would slow down every call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (AnswerQuestion(argc, argv)) return 0;
  // Before other threads start, so that all of them block these signals and this one receives them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  flags::RespellArguments(argc, argv, '-', '_', IsFlag);
  const auto options = ReadFlags(absl::ParseCommandLine(argc, argv));
  if (!options.ok()) return Fail(options.status());
  if (const auto sound = Upkeep(*options); sound.has_value()) {
    if (!sound->ok()) return Fail(sound->status());
    return **sound ? 0 : kFailure;
  }
  if (const absl::Status held = models::TorchLibrary::Hold(); !held.ok()) return Fail(held);
  atelier::models::KeepFreedMemory(64 << 20);
  RaiseFileLimit();
  for (const std::string& warning : {options->AccessWarning(), options->MetricsWarning()}) {
    if (!warning.empty()) spdlog::warn("{}", warning);
  }

  auto server = Server::Start(*options);
  if (!server.ok()) return Fail(server.status());
  std::printf("atelierd: serving on %s, metrics on %s\n", (*server)->address().c_str(),
              (*server)->metrics_address().c_str());
  std::fflush(stdout);
  spdlog::info("Serving on {}, metrics on {}, data in {}.", (*server)->address(),
               (*server)->metrics_address(), options->data_dir);

  for (const std::string& sentence : OldLibraries()) spdlog::warn("{}", sentence);

  int received = 0;
  sigwait(&stop_signals, &received);
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);
  spdlog::info("Stopping: received signal {}.", received);
  (*server)->Stop();
  server->reset();
  spdlog::info("Stopped.");
  EndLogging();
  return 0;
}

}  // namespace
}  // namespace atelier::server

int main(int argc, char** argv) { return atelier::server::Main(argc, argv); }
