#include "server/launch/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace atelier::launch {
namespace {

// Everything the child needs, made before the fork: until it has become the program, the child may
// call nothing that takes a lock or allocates, since another thread may have held that lock.
struct ChildPlan {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::string nice_text;
  std::string oom_score_adj;
  cpu_set_t cpus;
  bool pinned = false;
  int nice = 0;
  std::array<int, 3> streams = {-1, -1, -1};  // Standard input, output and error.
  int error_fd = -1;  // Takes the errno of a failed exec; closes itself in one that succeeds.
  int highest_fd = 0;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void CloseAllOnExec(int highest_fd) {
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Kernels before 5.11.
  for (int fd = 3; fd <= highest_fd; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void WriteFile(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, text.data(), text.size());
  close(fd);
}

// By the kernel's own call: glibc's sigaction takes a lock for SIGABRT from 2.41 on, which stays
// taken in a child if another thread was forking, too. All zeros are the default action, whatever
// the order of the kernel's fields.
void ResetSignals() {
  const std::array<unsigned long, 8> default_action = {};
  for (int signal = 1; signal < NSIG; ++signal) {
    syscall(SYS_rt_sigaction, signal, default_action.data(), nullptr, NSIG / 8);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// What cannot be set is left as it is: a worker without it works, and the machine may lack it.
[[noreturn]] void RunChild(const ChildPlan& plan) {
  setsid();
  if (plan.pinned) sched_setaffinity(0, sizeof(plan.cpus), &plan.cpus);
  setpriority(PRIO_PROCESS, 0, plan.nice);
  // Where the kernel groups processes by session, it is the group's niceness that counts.
  WriteFile("/proc/self/autogroup", plan.nice_text);
  WriteFile("/proc/self/oom_score_adj", plan.oom_score_adj);
  for (int stream = 0; stream < 3; ++stream) {
    dup2(plan.streams[static_cast<std::size_t>(stream)], stream);
  }
  CloseAllOnExec(plan.highest_fd);

  ResetSignals();
  execve(plan.arguments[0], plan.arguments.data(), plan.environment.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(plan.error_fd, &error, sizeof(error));
  _exit(127);
}

// Opens a file under a number above those of the standard streams, which the child replaces.
absl::StatusOr<int> Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("cannot open ", path, ": ", strerror(errno)));
  }
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  close(fd);
  if (moved < 0) {
    return absl::UnavailableError(absl::StrCat("cannot open ", path, ": ", strerror(errno)));
  }
  return moved;
}

// `opened` takes the descriptors that are to be closed once the child has its own.
absl::Status OpenStreams(const SpawnRequest& request, std::vector<int>* opened, ChildPlan* plan) {
  if (request.streams.has_value()) {
    plan->streams = *request.streams;
    return absl::OkStatus();
  }
  for (const bool input : {true, false}) {
    const absl::StatusOr<int> fd = input ? Open("/dev/null", O_RDONLY)
                                         : Open(request.output_path, O_WRONLY | O_APPEND | O_CREAT);
    if (!fd.ok()) return fd.status();
    opened->push_back(*fd);
  }
  plan->streams = {(*opened)[0], (*opened)[1], (*opened)[1]};
  return absl::OkStatus();
}

// Forks with all signals blocked, so that no handler of the server runs in the child. _Fork leaves
// out the fork handlers of libraries: OpenBLAS's, for one, ends the parent's threads.
pid_t ForkQuietly(const ChildPlan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = _Fork();
  if (pid == 0) RunChild(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const SpawnRequest& request) {
  ChildPlan plan;
  plan.arguments = Pointers(request.arguments);
  plan.environment = Pointers(request.environment);
  plan.oom_score_adj = absl::StrCat(request.oom_score_adj);
  // Beyond the lowest niceness /proc/self/autogroup refuses the number.
  plan.nice = std::min(getpriority(PRIO_PROCESS, 0) + request.nice, 19);
  plan.nice_text = absl::StrCat(plan.nice);
  plan.pinned = !request.cpus.empty();
  CPU_ZERO(&plan.cpus);
  for (int cpu : request.cpus) CPU_SET(cpu, &plan.cpus);
  plan.highest_fd = static_cast<int>(sysconf(_SC_OPEN_MAX));

  std::vector<int> opened;
  const absl::Cleanup close_opened = [&opened] {
    for (const int fd : opened) close(fd);
  };
  if (auto status = OpenStreams(request, &opened, &plan); !status.ok()) return status;
  int result[2];
  if (pipe2(result, O_CLOEXEC) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  }
  absl::Cleanup close_result = [fd = result[0]] { close(fd); };
  plan.error_fd = result[1];

  const pid_t pid = ForkQuietly(plan);
  const int fork_error = errno;
  close(result[1]);
  if (pid < 0) {
    return absl::UnavailableError(absl::StrCat("cannot start a process: ", strerror(fork_error)));
  }
  int exec_error = 0;
  ssize_t size;
  do {
    size = read(result[0], &exec_error, sizeof(exec_error));
  } while (size < 0 && errno == EINTR);
  if (size == 0) return pid;
  waitpid(pid, nullptr, 0);
  return absl::UnavailableError(
      absl::StrCat("cannot run ", request.arguments[0], ": ", strerror(exec_error)));
}

}  // namespace atelier::launch
