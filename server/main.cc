// atelierd, the server: reads its flags, starts everything, and stops it when asked to.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/machine.h"
#include "server/logging.h"
#include "server/server.h"
#include "server/server_options.h"
#include "spdlog/spdlog.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "Where clients are served: HOST:PORT, port 0 for a free one, or unix:PATH.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:9464",
          "Where Prometheus finds /metrics: HOST:PORT over IPv4, port 0 for a free one.");
ABSL_FLAG(std::string, worker_listen, "",
          "Where workers report: unix:PATH or HOST:PORT. Default: worker.sock in the data "
          "directory.");
ABSL_FLAG(std::string, data_dir, "",
          "The folder that everything is kept in. Default: $XDG_DATA_HOME/atelier, or "
          "~/.local/share/atelier.");
ABSL_FLAG(std::vector<std::string>, datasets, {},
          "Data sets as NAME=DIR,…; Debian's fashion-mnist is there without asking.");
ABSL_FLAG(int, workers, 1, "Jobs of the usual size that train at the same time.");
ABSL_FLAG(int, threads_per_worker, 0,
          "Cores of a job that asks for none. Default: the usable cores, divided by --workers.");
ABSL_FLAG(int, serving_threads, 0, "Threads that classify. Default: the usable cores.");
ABSL_FLAG(std::string, serving_device, "cpu",
          "What classifies: cpu, cuda (the first GPU), or auto for the GPU where there is one.");
ABSL_FLAG(int, serving_versions, 8,
          "Model versions that may be in memory; the one that was not used for longest leaves.");
ABSL_FLAG(absl::Duration, serving_idle, absl::Minutes(30),
          "A model version that was not used for so long leaves memory.");
ABSL_FLAG(absl::Duration, batch_delay, absl::ZeroDuration(),
          "How long images may wait for others to be computed with; 0 computes what is there.");
ABSL_FLAG(int, max_queued_jobs, 1000, "Jobs that may wait; more are refused.");
ABSL_FLAG(absl::Duration, lease, absl::Seconds(30),
          "A worker that is silent for so long is lost, and one that hears nothing ends.");
ABSL_FLAG(absl::Duration, shutdown_grace, absl::Seconds(30),
          "What workers get for their checkpoints when the server is stopped.");
ABSL_FLAG(std::string, worker_binary, "",
          "The worker's program. Default: atelier-worker beside atelierd.");
ABSL_FLAG(std::string, tls_cert, "",
          "The server's certificate, followed by those between it and an authority, as PEM. With "
          "it clients are served by TLS, and so are workers that report by TCP.");
ABSL_FLAG(std::string, tls_key, "", "The certificate's private key, as PEM.");
ABSL_FLAG(std::string, tls_client_ca, "",
          "Admit only clients with a certificate of these authorities, as PEM.");
ABSL_FLAG(bool, allow_insecure, false,
          "Serve other machines without encryption or authentication: whoever reaches the address "
          "can use the server.");
ABSL_FLAG(std::string, log_format, "text", "How standard error is written: text or json.");
ABSL_FLAG(std::string, log_level, "info", "trace, debug, info, warning or error.");

namespace atelier::server {
namespace {

constexpr int kFailure = 1;

// What Abseil offers for --help ends with 1, as if it were a mistake.
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
      "  --flagfile=FILE\n      Reads flags from a file, one a line.\n"
      "  --help, --version\n      Print this, or the version, and exit.\n");
}

// True if the question was answered.
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

absl::StatusOr<ServerOptions> ReadFlags(const std::vector<char*>& positional) {
  if (positional.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", positional[1], "' is no flag; atelierd takes flags alone, see --help."));
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
  flags.workers = absl::GetFlag(FLAGS_workers);
  flags.threads_per_worker = absl::GetFlag(FLAGS_threads_per_worker);
  flags.serving_threads = absl::GetFlag(FLAGS_serving_threads);
  flags.serving_device = absl::GetFlag(FLAGS_serving_device);
  flags.serving_versions = absl::GetFlag(FLAGS_serving_versions);
  flags.serving_idle = absl::GetFlag(FLAGS_serving_idle);
  flags.batch_delay = absl::GetFlag(FLAGS_batch_delay);
  flags.max_queued_jobs = absl::GetFlag(FLAGS_max_queued_jobs);
  flags.lease = absl::GetFlag(FLAGS_lease);
  flags.shutdown_grace = absl::GetFlag(FLAGS_shutdown_grace);
  flags.worker_binary = absl::GetFlag(FLAGS_worker_binary);
  flags.tls_cert = absl::GetFlag(FLAGS_tls_cert);
  flags.tls_key = absl::GetFlag(FLAGS_tls_key);
  flags.tls_client_ca = absl::GetFlag(FLAGS_tls_client_ca);
  flags.allow_insecure = absl::GetFlag(FLAGS_allow_insecure);
  return ServerOptions::Create(flags);
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "atelierd: %s\n", std::string(status.message()).c_str());
  return kFailure;
}

int Main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at every lock; the tests let it, here calls would pay for
  // it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (AnswerQuestion(argc, argv)) return 0;
  // Before there are other threads, the log's among them: all of them leave these signals to this
  // one.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const auto options = ReadFlags(absl::ParseCommandLine(argc, argv));
  if (!options.ok()) return Fail(options.status());
  RaiseFileLimit();
  if (const std::string warning = options->MetricsWarning(); !warning.empty()) {
    spdlog::warn("{}", warning);
  }

  auto server = Server::Start(*options);
  if (!server.ok()) return Fail(server.status());
  std::printf("atelierd: serving on %s, metrics on %s\n", (*server)->address().c_str(),
              (*server)->metrics_address().c_str());
  std::fflush(stdout);
  spdlog::info("Serving on {}, metrics on {}, data in {}.", (*server)->address(),
               (*server)->metrics_address(), options->data_dir);

  int received = 0;
  sigwait(&stop_signals, &received);
  // From here on a second signal ends the process at once, as it does every program.
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
