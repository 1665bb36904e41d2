// atelier-worker: one attempt at one job. Its server starts it, and it reports to nobody else. It
// ends with an ExitCode.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "models/base/allocator.h"
#include "models/base/failure.h"
#include "models/base/stop_signal.h"
#include "models/network/torch_library.h"
#include "proto/flags/spelling.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/base/short_address.h"
#include "server/base/worker_exit_code.h"
#include "server/sandbox/sandbox.h"
#include "server/worker/failure_event.h"
#include "server/worker/file_line.h"
#include "server/worker/file_sender.h"
#include "server/worker/further_rank.h"
#include "server/worker/job_run.h"
#include "server/worker/log_buffer.h"
#include "server/worker/log_sink.h"
#include "server/worker/memory_limit.h"
#include "server/worker/ranks.h"
#include "server/worker/resource_sampler.h"
#include "server/worker/session.h"
#include "server/worker/steady_now.h"
#include "server/worker/ticker.h"
#include "server/worker/workplace.h"
#include "spdlog/spdlog.h"

ABSL_FLAG(std::string, server, "", "Address of the server: unix:/absolute/path or host:port");
ABSL_FLAG(std::string, server_certificate, "",
          "The server's certificate if it uses TLS, a PEM file");
ABSL_FLAG(std::string, job, "", "ID of the job, without jobs/");
ABSL_FLAG(int, attempt, 1, "Number of the attempt, from 1");
ABSL_FLAG(
    std::string, cache_dir, "",
    "Folder on this machine's own disk for what the worker fetches and writes, if it does not "
    "see the server's data directory; nobody else may write to it");
ABSL_FLAG(std::int64_t, cache_bytes, std::int64_t{20} << 30,
          "Bytes that data sets may take in --cache_dir; the least recently used go");
ABSL_FLAG(int, ranks, 1, "Processes of the attempt, which train together");
ABSL_FLAG(
    int, rank, -1,
    "This one's number among them, from 0; default: as Slurm or Kubernetes says, else 0, which "
    "starts the others");
ABSL_FLAG(std::string, rank_network, "",
          "Network in which they reach each other, such as 10.0.0.0/8; default: this machine");
ABSL_FLAG(std::string, sandbox, "best_effort",
          "Walls around the job: best_effort (as Linux has them here), required or off");

namespace atelier::worker {
namespace {

constexpr char kTokenVariable[] = "ATELIER_WORKER_TOKEN";
// The server's certificate itself, where there is no file.
constexpr char kCertificateVariable[] = "ATELIER_SERVER_CERTIFICATE";
constexpr std::int64_t kLogBytes = std::int64_t{16} << 20;
constexpr absl::Duration kSampleInterval = absl::Seconds(1);
// A worker beyond its memory limit has this long to say so, and one that gives up to send its log.
constexpr absl::Duration kLastWords = absl::Seconds(5);

// What the signal handler suspends: the run, or a rank beyond the first.
std::atomic<JobRun*> running{nullptr};
models::StopSignal rank_stop;

void HandleTermination(int /*signal*/) {
  rank_stop.Suspend();
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
  return FailureEvent(
      models::FailureReason::kInternal,
      absl::StrCat("The sandbox is not complete, which --worker_sandbox=required demands: ",
                   missing.message(), "."));
}

// The last event of an attempt that could not fetch its files.
v1::WorkerEvent NotFetchedEvent(const absl::Status& status) {
  v1::WorkerEvent event;
  if (absl::IsCancelled(status)) {
    event.mutable_suspended();
    return event;
  }
  return FailureEvent(
      absl::IsNotFound(status) ? models::FailureReason::kBadData : models::FailureReason::kInternal,
      absl::StrCat("The job's files could not be fetched from the server: ", status.message(),
                   "."));
}

void HandleSignals() {
  for (int number : {SIGTERM, SIGINT}) signal(number, HandleTermination);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGBUS, HandleBusError);
}

// How the program was started, besides what it says of itself to the server.
struct Settings {
  Workplace::Options workplace;
  Meeting meeting;                 // With the other processes of the attempt, if there are any.
  std::shared_ptr<LogBuffer> log;  // Of a process that has a folder for copies.
};

class WorkerProgram {
 public:
  WorkerProgram(const v1::Hello& hello, Settings settings)
      : settings_(std::move(settings)),
        hello_(hello),
        run_([this](v1::WorkerEvent event) { Report(std::move(event)); }),
        workplace_(WithStop(settings_.workplace, &run_.suspend_signal())) {
    running = &run_;
    HandleSignals();
    Session::Options options;
    options.server = settings_.workplace.server;
    options.hello = hello;
    options.on_command = [this](Command command) { Obey(command); };
    session_ = std::make_unique<Session>(std::move(options));
  }
  ~WorkerProgram() { running = nullptr; }

  ExitCode Run() {
    std::optional<v1::Assignment> assignment = session_->AwaitAssignment();
    if (!assignment.has_value()) return kServerLost;
    StartSending();
    line_ = std::make_unique<FileLine>(
        FileLine::Options{.channel = session_->channel(), .hello = hello_, .given_up = [this] {
                            return run_.suspended() || !session_->end().ok();
                          }});
    const absl::Status ready = workplace_.Prepare(&*assignment, line_.get());
    if (const auto code = EndUnprepared(ready, hello_.world_size())) return EndUnsaid(*code, ready);
    if (!workplace_.sees_data_directory() && ready.ok()) {
      sender_->SendFrom(assignment->attempt_dir());
    }
    if (!ready.ok()) {
      Report(NotFetchedEvent(ready));
    } else if (const absl::Status done = Work(*assignment); !done.ok()) {
      return EndWithoutRank(done);
    }
    const bool delivered = session_->AwaitDelivered();
    over_ = true;
    return delivered ? kDelivered : kServerLost;
  }

 private:
  static Workplace::Options WithStop(Workplace::Options options, const models::StopSignal* stop) {
    options.stop = stop;
    return options;
  }

  // Ends with the attempt's last event, or with FailureReason kRankLost and without one.
  absl::Status Work(const v1::Assignment& assignment) {
    std::unique_ptr<models::RankGroup> ranks;
    if (settings_.meeting.place.size > 1) {
      auto met = MeetRanks(settings_.meeting, assignment, line_.get());
      if (!met.ok()) return EndMeeting(met.status());
      ranks = *std::move(met);
    }
    if (const absl::Status walled = workplace_.WallIn(assignment); !walled.ok()) {
      Report(IncompleteSandboxEvent(walled));
      return absl::OkStatus();
    }
    GuardMemory(assignment);
    const Ticker ticker("resources", kSampleInterval, [this] { ReportResources(); });
    return run_.Run(assignment, ranks.get());
  }

  // The next attempt goes on from what this one has on its way.
  ExitCode EndWithoutRank(const absl::Status& lost) {
    if (const std::string why = SaidAbsence(line_.get()); !why.empty()) spdlog::error("{}", why);
    if (sender_ != nullptr) {
      if (const absl::Status sent = sender_->SendCheckpoints(); !sent.ok()) {
        spdlog::warn("the last checkpoint was not sent: {}", std::string(sent.message()));
      }
    }
    return EndUnsaid(kRankLost, lost);
  }

  absl::Status EndMeeting(const absl::Status& why) {
    if (models::ReasonOf(why) == models::FailureReason::kRankLost) return why;
    Report(FailureEvent(models::ReasonOf(why),
                        absl::StrCat("Its processes cannot train together: ", why.message(), ".")));
    return absl::OkStatus();
  }

  void Report(v1::WorkerEvent event) {
    // However short it was, what it used is known.
    if (EndsAttempt(event)) ReportResources();
    if (sender_ != nullptr) return sender_->Report(std::move(event));
    session_->Send(std::move(event));
  }

  // Where output is kept by nobody, or files are.
  void StartSending() {
    if (settings_.log == nullptr) return;
    sending_ = std::make_unique<FileLine>(
        FileLine::Options{.channel = session_->channel(), .hello = hello_, .given_up = [this] {
                            return over_ || !session_->end().ok() ||
                                   SteadyNow() > absl::Nanoseconds(log_until_.load());
                          }});
    sender_ = std::make_unique<FileSender>(
        FileSender::Options{
            .report = [this](v1::WorkerEvent event) { session_->Send(std::move(event)); },
            .disk_failed = [this](const absl::Status& why) { Quit(EndUnsaid(kDiskFailed, why)); }},
        sending_.get(), settings_.log.get());
  }

  // Before an end without a last event: the log alone says why.
  ExitCode EndUnsaid(ExitCode code, const absl::Status& why) {
    spdlog::error("the attempt cannot be made here: {}", std::string(why.message()));
    if (sender_ != nullptr) {
      log_until_ = absl::ToInt64Nanoseconds(SteadyNow() + kLastWords);
      sender_->SendLog();
    }
    over_ = true;
    return code;
  }

  // Not by way of main: other threads go on until the process is gone.
  [[noreturn]] void Quit(ExitCode code) {
    workplace_.Remove();
    _exit(code);
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
        Quit(kNotWanted);
    }
  }

  void GuardMemory(const v1::Assignment& assignment) {
    const std::int64_t limit = MemoryLimitOf(assignment);
    if (limit <= 0) return;
    LimitAllocations(limit);
    memory_watch_ = std::make_unique<MemoryWatch>(limit, [this, assignment](std::int64_t used) {
      const v1::WorkerEvent event =
          OutOfMemoryEvent(assignment, absl::StrCat(FormatBytes(used), " were in use"));
      spdlog::error("failed, OUT_OF_MEMORY: {}", event.failure().message());
      session_->Send(event);
      Quit(session_->AwaitDelivered(kLastWords) ? kDelivered : kOutOfMemory);
    });
  }

  void ReportResources() ABSL_LOCKS_EXCLUDED(sampler_mutex_) {
    v1::WorkerEvent event;
    {
      absl::MutexLock lock(&sampler_mutex_);
      *event.mutable_resources() = sampler_.Sample();
    }
    Session::Traffic traffic = session_->traffic();
    for (const FileLine* line : {line_.get(), sending_.get()}) {
      if (line == nullptr) continue;
      traffic.sent_bytes += line->sent_bytes();
      traffic.received_bytes += line->received_bytes();
    }
    event.mutable_resources()->set_sent_bytes(traffic.sent_bytes);
    event.mutable_resources()->set_received_bytes(traffic.received_bytes);
    session_->Send(std::move(event));
  }

  const Settings settings_;
  const v1::Hello hello_;
  // The ticker's thread and the run's sample.
  absl::Mutex sampler_mutex_;
  ResourceSampler sampler_ ABSL_GUARDED_BY(sampler_mutex_);
  JobRun run_;
  std::unique_ptr<Session> session_;
  // The attempt's end is delivered.
  std::atomic<bool> over_{false};
  // When to stop sending, in Unix nanoseconds.
  std::atomic<std::int64_t> log_until_{std::numeric_limits<std::int64_t>::max()};
  Workplace workplace_;
  // Constant once the attempt is under way.
  std::unique_ptr<FileLine> line_;
  std::unique_ptr<FileLine> sending_;
  std::unique_ptr<FileSender> sender_;
  std::unique_ptr<MemoryWatch> memory_watch_;
};

// To standard output, and to what sends it to the server, if that is not null.
void StartLogging(const std::shared_ptr<LogBuffer>& sent, const RankPlace& place) {
  auto logger = std::make_shared<spdlog::logger>(
      "worker", std::make_shared<LogSink>(STDOUT_FILENO, kLogBytes));
  if (sent != nullptr) logger->sinks().push_back(sent);
  const std::string who = place.rank == 0 ? "" : absl::StrCat("rank ", place.rank, ": ");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ " + who + "%v");
  spdlog::set_default_logger(std::move(logger));
}

// As a rank beyond the first.
ExitCode RunAsFurtherRank(const v1::Hello& hello, const Settings& settings) {
  HandleSignals();
  Workplace::Options workplace = settings.workplace;
  workplace.stop = &rank_stop;
  return RunFurtherRank({.hello = hello,
                         .workplace = std::move(workplace),
                         .meeting = settings.meeting,
                         .stop = &rank_stop});
}

int Main(char** arguments) {
  // Before anything is opened: it leaves nothing open.
  const absl::Status prepared = sandbox::Prepare();
  const char* token = getenv(kTokenVariable);
  v1::Hello hello;
  hello.set_job(absl::GetFlag(FLAGS_job));
  hello.set_attempt(absl::GetFlag(FLAGS_attempt));
  hello.set_pid(getpid());
  const auto place = PlaceOf(absl::GetFlag(FLAGS_ranks), absl::GetFlag(FLAGS_rank));
  std::string problem;
  const std::string sandboxing = absl::GetFlag(FLAGS_sandbox);
  const std::string cache_dir = absl::GetFlag(FLAGS_cache_dir);
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
  } else if (!cache_dir.empty() && cache_dir[0] != '/') {
    problem = absl::StrCat("--cache_dir=", cache_dir, " is not an absolute path");
  } else if (absl::GetFlag(FLAGS_cache_bytes) < 1) {
    problem = absl::StrCat("--cache_bytes=", absl::GetFlag(FLAGS_cache_bytes),
                           " is out of range (at least 1)");
  } else if (token == nullptr || *token == '\0') {
    problem = absl::StrCat("the environment has no ", kTokenVariable,
                           "; workers are started by atelierd, not by hand");
  } else if (!place.ok()) {
    problem = std::string(place.status().message());
  } else if (const absl::Status held = models::TorchLibrary::Hold(); !held.ok()) {
    problem = std::string(held.message());
  }
  if (!problem.empty()) {
    fprintf(stderr, "atelier-worker: %s\n", problem.c_str());
    return kUsage;
  }
  hello.set_token(token);
  hello.set_rank(place->rank);
  hello.set_world_size(place->size);
  const bool first = place->rank == 0;
  const auto log = cache_dir.empty() || !first ? nullptr : std::make_shared<LogBuffer>(kLogBytes);
  StartLogging(log, *place);
  if (!prepared.ok()) spdlog::warn("sandbox: {}", std::string(prepared.message()));
  const auto address = ShortAddress::Of(absl::GetFlag(FLAGS_server));
  if (!address.ok()) {
    spdlog::error("{}", std::string(address.status().message()));
    return kServerLost;
  }
  spdlog::info("attempt {} at job {}, process {}", hello.attempt(), hello.job(), hello.pid());
  if (place->starts_others) {
    if (const absl::Status started = StartOthers(place->size, arguments); !started.ok()) {
      spdlog::error("{}", std::string(started.message()));
      return kRankLost;
    }
  } else if (absl::GetFlag(FLAGS_rank) > 0) {
    EndWithStarter();
  }
  const char* const certificate = getenv(kCertificateVariable);
  const Settings settings = {
      .workplace = {.server = {.address = address->text(),
                               .certificate = absl::GetFlag(FLAGS_server_certificate),
                               .certificate_text = certificate == nullptr ? "" : certificate},
                    .name = absl::StrCat(hello.job(), "-", hello.attempt(),
                                         first ? "" : absl::StrCat("-", hello.rank())),
                    .sandboxing = sandboxing,
                    .cache_dir = cache_dir,
                    .cache_bytes = absl::GetFlag(FLAGS_cache_bytes)},
      .meeting = {.place = *place, .network = absl::GetFlag(FLAGS_rank_network)},
      .log = log};
  return first ? WorkerProgram(hello, settings).Run() : RunAsFurtherRank(hello, settings);
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
        "  --cache_dir=DIR            %s\n"
        "  --cache_bytes=N            %s\n"
        "  --ranks=N                  %s\n"
        "  --rank=N                   %s\n"
        "  --rank_network=NETWORK     %s\n"
        "  --sandbox=MODE             %s\n",
        absl::GetFlagReflectionHandle(FLAGS_server).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_server_certificate).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_job).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_attempt).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_cache_dir).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_cache_bytes).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_ranks).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_rank).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_rank_network).Help().c_str(),
        absl::GetFlagReflectionHandle(FLAGS_sandbox).Help().c_str());
    return 0;
  }
  atelier::flags::RespellArguments(argc, argv, '-', '_', [](absl::string_view name) {
    return absl::FindCommandLineFlag(name) != nullptr;
  });
  absl::ParseCommandLine(argc, argv);
  atelier::models::KeepFreedMemory(1 << 30);
  return atelier::worker::Main(argv);
}
