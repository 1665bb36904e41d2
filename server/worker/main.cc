// atelier-worker: one attempt at one job. Its server starts it, and it reports to nobody
// else. Exit codes: 0 the attempt's last event is stored by the server (also of an attempt that
// failed), 1 wrong flags or no libatelier_torch.so, 3 the server does not want the attempt, 4 the
// server could not be reached for the lease, 5 over its memory limit and unable to say so.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "models/base/allocator.h"
#include "models/base/failure.h"
#include "models/network/torch_library.h"
#include "proto/flags/spelling.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/base/short_address.h"
#include "server/sandbox/sandbox.h"
#include "server/worker/job_run.h"
#include "server/worker/log_sink.h"
#include "server/worker/memory_limit.h"
#include "server/worker/resource_sampler.h"
#include "server/worker/session.h"
#include "server/worker/ticker.h"
#include "server/worker/walls.h"
#include "spdlog/spdlog.h"

ABSL_FLAG(std::string, server, "", "Address of the server: unix:/absolute/path or host:port");
ABSL_FLAG(std::string, server_certificate, "",
          "The server's certificate if it uses TLS, a PEM file");
ABSL_FLAG(std::string, job, "", "ID of the job, without jobs/");
ABSL_FLAG(int, attempt, 1, "Number of the attempt, from 1");
ABSL_FLAG(std::string, sandbox, "best_effort",
          "Walls around the job: best_effort (as Linux has them here), required or off");

namespace atelier::worker {
namespace {

constexpr char kTokenVariable[] = "ATELIER_WORKER_TOKEN";
constexpr char kSandboxAsThereIs[] = "best_effort";
constexpr char kSandboxRequired[] = "required";
constexpr char kNoSandbox[] = "off";
constexpr std::int64_t kLogBytes = std::int64_t{16} << 20;
constexpr absl::Duration kSampleInterval = absl::Seconds(1);
// A worker beyond its memory limit has this long to say so.
constexpr absl::Duration kLastWords = absl::Seconds(5);

enum ExitCode { kDelivered = 0, kUsage = 1, kNotWanted = 3, kServerLost = 4, kOutOfMemory = 5 };

// What the signal handler suspends.
std::atomic<JobRun*> running{nullptr};

void HandleTermination(int /*signal*/) {
  if (JobRun* run = running.load()) run->Suspend();
}

// A mapped file was cut off, or its disk failed: says so in the log before the process ends by that
// signal, upon which its server starts another attempt.
void HandleBusError(int number) {
  constexpr std::string_view kWords =
      "atelier-worker: SIGBUS: the file of the data set, which is mapped into memory, was "
      "truncated or cannot be read any more\n";
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, kWords.data(), kWords.size());
  signal(number, SIG_DFL);
}

v1::WorkerEvent IncompleteSandboxEvent(const absl::Status& missing) {
  v1::WorkerEvent event;
  event.mutable_failure()->set_reason(
      std::string(models::FailureReasonName(models::FailureReason::kInternal)));
  event.mutable_failure()->set_message(absl::StrCat(
      "The sandbox is not complete, which --worker_sandbox=required demands: ", missing.message(),
      "."));
  return event;
}

class WorkerProgram {
 public:
  WorkerProgram(const v1::Hello& hello, ServerLine server, std::string sandboxing)
      : server_(std::move(server)),
        sandboxing_(std::move(sandboxing)),
        run_([this](v1::WorkerEvent event) {
          // However short it was, what it used is known.
          if (EndsAttempt(event)) ReportResources();
          session_->Send(std::move(event));
        }) {
    running = &run_;
    for (int number : {SIGTERM, SIGINT}) signal(number, HandleTermination);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGBUS, HandleBusError);
    Session::Options options;
    options.server = server_.address;
    options.server_certificate = server_.certificate;
    options.hello = hello;
    options.on_command = [this](Command command) { Obey(command); };
    session_ = std::make_unique<Session>(std::move(options));
  }
  ~WorkerProgram() { running = nullptr; }

  ExitCode Run() {
    const std::optional<v1::Assignment> assignment = session_->AwaitAssignment();
    if (!assignment.has_value()) return kServerLost;
    if (const absl::Status walled = WallIn(*assignment); !walled.ok()) {
      session_->Send(IncompleteSandboxEvent(walled));
    } else {
      GuardMemory(*assignment);
      const Ticker ticker("resources", kSampleInterval, [this] { ReportResources(); });
      run_.Run(*assignment);
    }
    return session_->AwaitDelivered() ? kDelivered : kServerLost;
  }

 private:
  // Before anything is read that others made. An error where the job must not go on without.
  absl::Status WallIn(const v1::Assignment& assignment) {
    if (sandboxing_ == kNoSandbox) {
      spdlog::warn("sandbox: turned off");
      return absl::OkStatus();
    }
    const sandbox::Walls walls = WallsOf(assignment, server_);
    for (const std::string& folder : walls.files.writes) {
      std::error_code ignored;
      std::filesystem::create_directories(folder, ignored);
    }
    const sandbox::Standing standing = sandbox::Enter(walls);
    spdlog::info("sandbox: {}", standing.walls);
    if (!standing.complete.ok()) {
      spdlog::warn("sandbox: missing: {}", std::string(standing.complete.message()));
    }
    return sandboxing_ == kSandboxRequired ? standing.complete : absl::OkStatus();
  }

  void Obey(Command command) {
    switch (command) {
      case Command::kStop:
        spdlog::info("asked to stop");
        return run_.Stop();
      case Command::kSuspend:
        spdlog::info("asked to suspend");
        return run_.Suspend();
      case Command::kLeaseOver:
        // The server has given this attempt up; the next goes on from its last checkpoint.
        return run_.Suspend();
      case Command::kUnwanted:
        _exit(kNotWanted);
    }
  }

  void GuardMemory(const v1::Assignment& assignment) {
    const std::int64_t limit = MemoryLimitOf(assignment);
    if (limit <= 0) return;
    if (const absl::Status status = LimitAllocations(limit); !status.ok()) {
      spdlog::warn("{}", std::string(status.message()));
    }
    memory_watch_ = std::make_unique<MemoryWatch>(limit, [this, assignment](std::int64_t used) {
      const v1::WorkerEvent event =
          OutOfMemoryEvent(assignment, absl::StrCat(FormatBytes(used), " were in use"));
      spdlog::error("failed, OUT_OF_MEMORY: {}", event.failure().message());
      session_->Send(event);
      // Not by way of main: the training goes on allocating until the process is gone.
      _exit(session_->AwaitDelivered(kLastWords) ? kDelivered : kOutOfMemory);
    });
  }

  void ReportResources() ABSL_LOCKS_EXCLUDED(sampler_mutex_) {
    v1::WorkerEvent event;
    {
      absl::MutexLock lock(&sampler_mutex_);
      *event.mutable_resources() = sampler_.Sample();
    }
    const Session::Traffic traffic = session_->traffic();
    event.mutable_resources()->set_sent_bytes(traffic.sent_bytes);
    event.mutable_resources()->set_received_bytes(traffic.received_bytes);
    session_->Send(std::move(event));
  }

  const ServerLine server_;
  const std::string sandboxing_;
  // The ticker's thread and the run's sample.
  absl::Mutex sampler_mutex_;
  ResourceSampler sampler_ ABSL_GUARDED_BY(sampler_mutex_);
  JobRun run_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<MemoryWatch> memory_watch_;
};

void StartLogging() {
  auto logger = std::make_shared<spdlog::logger>(
      "worker", std::make_shared<LogSink>(STDOUT_FILENO, kLogBytes));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

int Main() {
  // Before anything is opened: it leaves nothing open.
  const absl::Status prepared = sandbox::Prepare();
  const char* token = getenv(kTokenVariable);
  v1::Hello hello;
  hello.set_job(absl::GetFlag(FLAGS_job));
  hello.set_attempt(absl::GetFlag(FLAGS_attempt));
  hello.set_world_size(1);
  hello.set_pid(getpid());
  std::string problem;
  const std::string sandboxing = absl::GetFlag(FLAGS_sandbox);
  if (absl::GetFlag(FLAGS_server).empty()) {
    problem = "--server is missing: unix:/absolute/path or host:port";
  } else if (hello.job().empty()) {
    problem = "--job is missing";
  } else if (hello.attempt() < 1) {
    problem = absl::StrCat("--attempt=", hello.attempt(), " is out of range (at least 1)");
  } else if (sandboxing != kSandboxAsThereIs && sandboxing != kSandboxRequired &&
             sandboxing != kNoSandbox) {
    problem = absl::StrCat("--sandbox=", sandboxing, " is not ", kSandboxAsThereIs, ", ",
                           kSandboxRequired, " or ", kNoSandbox);
  } else if (token == nullptr || *token == '\0') {
    problem = absl::StrCat("the environment has no ", kTokenVariable,
                           "; workers are started by atelierd, not by hand");
  } else if (const absl::Status held = models::TorchLibrary::Hold(); !held.ok()) {
    problem = std::string(held.message());
  }
  if (!problem.empty()) {
    fprintf(stderr, "atelier-worker: %s\n", problem.c_str());
    return kUsage;
  }
  hello.set_token(token);
  StartLogging();
  if (!prepared.ok()) spdlog::warn("sandbox: {}", std::string(prepared.message()));
  const auto address = ShortAddress::Of(absl::GetFlag(FLAGS_server));
  if (!address.ok()) {
    spdlog::error("{}", std::string(address.status().message()));
    return kServerLost;
  }
  spdlog::info("attempt {} at job {}, process {}", hello.attempt(), hello.job(), hello.pid());
  return WorkerProgram(hello, {address->text(), absl::GetFlag(FLAGS_server_certificate)},
                       sandboxing)
      .Run();
}

}  // namespace
}  // namespace atelier::worker

int main(int argc, char** argv) {
  // Debian's Abseil checks every lock for deadlocks, which would slow down every call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  for (int i = 1; i < argc; ++i) {
    // Abseil's own answer exits with 1.
    if (std::string_view(argv[i]) != "--help") continue;
    printf(
        "atelier-worker: one attempt at one training job, started by atelierd.\n"
        "  --server=ADDRESS           %s\n"
        "  --server_certificate=FILE  %s\n"
        "  --job=ID                   %s\n"
        "  --attempt=N                %s\n"
        "  --sandbox=MODE             %s\n",
        absl::GetFlagReflectionHandle(FLAGS_server).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_server_certificate).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_job).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_attempt).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_sandbox).Help().c_str());
    return 0;
  }
  atelier::flags::RespellArguments(argc, argv, '-', '_', [](absl::string_view name) {
    return absl::FindCommandLineFlag(name) != nullptr;
  });
  absl::ParseCommandLine(argc, argv);
  atelier::models::KeepFreedMemory(1 << 30);
  return atelier::worker::Main();
}
