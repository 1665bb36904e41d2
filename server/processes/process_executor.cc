#include "server/processes/process_executor.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/launch/spawn.h"

namespace atelier::processes {
namespace {

using launch::WorkerCommand;

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

absl::string_view Explanation(int signal) {
  if (signal == SIGBUS) return ", as when the file of a data set that it had mapped is cut off";
  // A thread that takes signals is refused the call alone.
  if (signal == SIGSYS) return ", as when its sandbox refuses a system call";
  return "";
}

std::string Sentence(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return absl::StrCat("exited with code ", info.si_status);
  const char* name = sigabbrev_np(info.si_status);
  return absl::StrCat("killed by signal ", info.si_status,
                      name == nullptr ? "" : absl::StrCat(" (SIG", name, ")"),
                      Explanation(info.si_status));
}

// How a process that has ended did so; collects it if it is a child of this one. Only the parent
// learns the status: of a process that an earlier server started nothing more is known, and
// `si_signo` is 0.
siginfo_t Collect(int pidfd, pid_t pid) {
  siginfo_t info = {};
  const auto id = static_cast<id_t>(pidfd);
  if (waitid(P_PIDFD, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid) {
    return {};
  }
  // What it started ends with it. While it is not collected nobody else can have its group's id.
  kill(-pid, SIGKILL);
  waitid(P_PIDFD, id, &info, WEXITED | WNOHANG);
  return info;
}

// The arguments or the environment of a process, each ending with a zero byte; empty if they cannot
// be read.
std::string ReadList(pid_t pid, const char* name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/", name));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool Lists(const std::string& list, const std::string& entry) {
  for (const absl::string_view one : absl::StrSplit(list, '\0')) {
    if (one == entry) return true;
  }
  return false;
}

// Whether it is one that another process of its attempt started.
bool IsFurtherRank(const std::string& arguments) {
  for (const absl::string_view one : absl::StrSplit(arguments, '\0')) {
    if (absl::StartsWith(one, "--rank=")) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessExecutor>> ProcessExecutor::Create(Options options) {
  auto worker = launch::WorkerCommand::Create(options.worker);
  if (!worker.ok()) return worker.status();
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return absl::UnavailableError(absl::StrCat("eventfd: ", strerror(errno)));
  return std::unique_ptr<ProcessExecutor>(
      new ProcessExecutor(std::move(options), *std::move(worker), wake_fd));
}

ProcessExecutor::ProcessExecutor(Options options, launch::WorkerCommand worker, int wake_fd)
    : options_(std::move(options)),
      worker_(std::move(worker)),
      wake_fd_(wake_fd),
      cpus_(AllowedCpus(0)),
      oom_kills_seen_(options_.oom_kills ? options_.oom_kills().value_or(0) : 0) {
  watcher_ = std::thread([this] { Watch(); });
  pthread_setname_np(watcher_.native_handle(), "process-watch");
}

ProcessExecutor::~ProcessExecutor() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  Wake();
  watcher_.join();
  MutexLock lock(&mutex_);
  for (const auto& [name, process] : processes_) close(process.pidfd);
  close(wake_fd_);
}

void ProcessExecutor::SetStatusCallback(StatusCallback callback) {
  MutexLock lock(&mutex_);
  status_callback_ = std::move(callback);
}

absl::StatusOr<jobs::Launched> ProcessExecutor::Launch(const jobs::LaunchRequest& request) {
  {
    MutexLock lock(&mutex_);
    // What the kernel ended while no worker was there was none.
    if (processes_.empty() && options_.oom_kills) {
      oom_kills_seen_ = options_.oom_kills().value_or(oom_kills_seen_);
    }
  }
  spare_.Free();
  absl::StatusOr<jobs::Launched> launched = Start(request);
  spare_.Fill();
  return launched;
}

absl::StatusOr<jobs::Launched> ProcessExecutor::Start(const jobs::LaunchRequest& request) {
  std::error_code error;
  std::filesystem::create_directories(request.attempt_dir, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot make the folder ", request.attempt_dir, ": ", error.message()));
  }
  launch::SpawnRequest spawn;
  spawn.arguments = worker_.Arguments(request);
  spawn.environment = worker_.Environment(request.token);
  {
    MutexLock lock(&mutex_);
    spawn.cpus = cpus_.Take(request.resources.cores * request.resources.nodes);
  }
  spawn.output_path = absl::StrCat(request.attempt_dir, "/worker.log");
  spawn.nice = options_.nice;
  spawn.oom_score_adj = options_.oom_score_adj;

  const absl::StatusOr<pid_t> pid = launch::Spawn(spawn);
  absl::Status problem = pid.status();
  if (pid.ok()) {
    // The process is not collected yet, so even one that has ended still has its id.
    const int pidfd = PidfdOpen(*pid);
    if (pidfd < 0) problem = absl::UnavailableError(strerror(errno));
    const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Of(*pid);
    problem.Update(handle.status());
    if (problem.ok()) {
      StartWatching({*handle, pidfd, std::move(spawn.cpus)});
      return jobs::Launched{.handle = handle->ToString()};
    }
    if (pidfd >= 0) close(pidfd);
    kill(-*pid, SIGKILL);
    waitpid(*pid, nullptr, 0);
    problem = absl::UnavailableError(
        absl::StrCat("cannot watch the process ", *pid, ": ", problem.message()));
  }
  MutexLock lock(&mutex_);
  cpus_.Release(spawn.cpus);
  return problem;
}

absl::StatusOr<std::string> ProcessExecutor::Find(const std::string& job_id, int attempt,
                                                  const std::string& token) {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->path().filename().string(), &pid)) continue;
    // Its handle first: should the id pass to another process meanwhile, the handle is no one's.
    const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Of(pid);
    const std::string arguments = ReadList(pid, "cmdline");
    if (handle.ok() && handle->Runs() && Lists(arguments, WorkerCommand::JobArgument(job_id)) &&
        Lists(arguments, WorkerCommand::AttemptArgument(attempt)) && !IsFurtherRank(arguments) &&
        Lists(ReadList(pid, "environ"), WorkerCommand::TokenVariable(token))) {
      return handle->ToString();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("there is no process of attempt ", attempt, " at job ", job_id));
}

absl::StatusOr<jobs::LaunchStatus> ProcessExecutor::Adopt(const std::string& name) {
  const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Parse(name);
  if (!handle.ok()) return handle.status();
  const int pidfd = PidfdOpen(handle->pid);
  // Looked at after the pidfd was opened: had the id passed to another process before, it shows.
  if (pidfd < 0 || !handle->Runs()) {
    if (pidfd >= 0) close(pidfd);
    return absl::NotFoundError(absl::StrCat("process ", handle->pid, " has ended"));
  }
  std::vector<int> cpus = AllowedCpus(handle->pid);
  {
    MutexLock lock(&mutex_);
    cpus_.Hold(cpus);
  }
  StartWatching({*handle, pidfd, std::move(cpus)});
  return jobs::LaunchRunning();
}

void ProcessExecutor::StartWatching(Process process) {
  {
    MutexLock lock(&mutex_);
    processes_.insert_or_assign(process.handle.ToString(), std::move(process));
  }
  Wake();
}

void ProcessExecutor::Kill(const std::string& name) {
  const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Parse(name);
  if (!handle.ok()) return;
  // A process that has ended took its group with it (see Collect).
  MutexLock lock(&mutex_);
  const auto watched = processes_.find(name);
  // By its descriptor where there is one: to look into /proc would take another.
  const bool runs = watched == processes_.end()
                        ? handle->Runs()
                        : syscall(SYS_pidfd_send_signal, watched->second.pidfd, 0, nullptr, 0) == 0;
  if (runs) kill(-handle->pid, SIGKILL);
}

jobs::ProcessEnd ProcessExecutor::Judge(std::string how, int code, bool may_be_memory) {
  jobs::ProcessEnd end = WorkerCommand::EndOf(std::move(how), code);
  if (end.cause != jobs::ProcessEnd::Cause::kUnknown) return end;
  MutexLock lock(&mutex_);
  if (!may_be_memory || !options_.oom_kills ||
      options_.oom_kills().value_or(0) <= oom_kills_seen_) {
    return end;
  }
  ++oom_kills_seen_;
  return {"ended by the kernel, since the memory of the machine or its container ran out",
          jobs::ProcessEnd::Cause::kOutOfMemory};
}

void ProcessExecutor::Watch() {
  bool ending = false;
  while (!ending) {
    const std::vector<Process> ended = AwaitEnded();
    StatusCallback callback;
    {
      MutexLock lock(&mutex_);
      ending = ending_;
      callback = status_callback_;
    }
    for (const Process& process : ended) {
      const siginfo_t info = Collect(process.pidfd, process.handle.pid);
      close(process.pidfd);
      const bool known = info.si_signo != 0;
      const bool exited = known && info.si_code == CLD_EXITED;
      const jobs::ProcessEnd end =
          Judge(known ? Sentence(info) : "ended", exited ? info.si_status : 0,
                !known || (!exited && info.si_status == SIGKILL));
      if (callback) callback(process.handle.ToString(), end);
    }
  }
}

std::vector<ProcessExecutor::Process> ProcessExecutor::AwaitEnded() {
  std::vector<pollfd> polled = {{wake_fd_, POLLIN, 0}};
  std::vector<std::string> names = {""};
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, process] : processes_) {
      polled.push_back({process.pidfd, POLLIN, 0});
      names.push_back(name);
    }
  }
  std::vector<Process> ended;
  if (poll(polled.data(), polled.size(), -1) <= 0) return ended;
  std::uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t size = read(wake_fd_, &wakes, sizeof(wakes));

  MutexLock lock(&mutex_);
  for (std::size_t i = 1; i < polled.size(); ++i) {
    if (polled[i].revents == 0) continue;
    auto node = processes_.extract(names[i]);
    cpus_.Release(node.mapped().cpus);
    ended.push_back(std::move(node.mapped()));
  }
  return ended;
}

void ProcessExecutor::Wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

}  // namespace atelier::processes
