// Real processes: shell scripts in the place of the worker program.
#include "server/processes/process_executor.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sanitizers.h"

namespace atelier::processes {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "s3cret-t0ken";
using Cause = jobs::ProcessEnd::Cause;

// Collects what an executor tells of ended processes.
class Exits {
 public:
  jobs::Executor::StatusCallback callback() {
    return [this](const std::string& handle, const jobs::LaunchStatus& status) {
      const auto& end = std::get<jobs::ProcessEnd>(status);
      MutexLock lock(&mutex_);
      cause_[handle] = end.cause;
      EXPECT_TRUE(how_.emplace(handle, end.how).second) << "told twice of " << handle;
      changed_.NotifyAll();
    };
  }

  // Empty if nothing was told in half a minute.
  std::string Await(const std::string& handle) {
    MutexLock lock(&mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (how_.count(handle) == 0 && std::chrono::steady_clock::now() < deadline) {
      changed_.WaitFor(&mutex_, absl::Seconds(1));
    }
    return how_[handle];
  }

  // After Await.
  jobs::ProcessEnd::Cause cause(const std::string& handle) {
    MutexLock lock(&mutex_);
    return cause_[handle];
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::string> how_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, jobs::ProcessEnd::Cause> cause_ ABSL_GUARDED_BY(mutex_);
};

bool Becomes(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

ProcessExecutor::Options WithProgram(const std::string& path) {
  ProcessExecutor::Options options;
  options.worker.program = path;
  return options;
}

class ProcessExecutorTest : public ::testing::Test {
 protected:
  ProcessExecutorTest() {
    std::string pattern = ::testing::TempDir() + "/executor-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    executor_ = MakeExecutor("exec sleep 1000");
  }
  ~ProcessExecutorTest() override {
    for (const std::string& handle : launched_) executor_->Kill(handle);
    executor_.reset();
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    std::filesystem::remove_all(dir_);
  }

  // Makes the worker program a shell script. Takes the place of the earlier one at once: a shell
  // that was launched a moment ago may not have read it yet.
  void SetWorker(const std::string& script) {
    const std::string path = dir_ + "/worker";
    std::ofstream(path + ".new") << "#!/bin/sh\n" << script << "\n";
    ASSERT_EQ(chmod((path + ".new").c_str(), 0755), 0);
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
  }

  std::unique_ptr<ProcessExecutor> MakeExecutor(const std::string& script) {
    SetWorker(script);
    auto executor = ProcessExecutor::Create({.worker = {.program = dir_ + "/worker",
                                                        .server_address = "unix:/tmp/server.sock",
                                                        .server_certificate = {}},
                                             .oom_kills = [this] { return oom_kills_.load(); }});
    EXPECT_TRUE(executor.ok()) << executor.status();
    (*executor)->SetStatusCallback(exits_.callback());
    return *std::move(executor);
  }

  std::string AttemptDir(int attempt) const {
    return absl::StrCat(dir_, "/jobs/a-job/attempts/", attempt);
  }
  std::string Log(int attempt = 1) const { return ReadFile(AttemptDir(attempt) + "/worker.log"); }

  // Waits until the script has printed a whole line that begins so, and answers with the rest.
  std::string AwaitLine(const std::string& beginning, int attempt = 1) {
    std::string rest;
    EXPECT_TRUE(Becomes([&] {
      std::istringstream lines(Log(attempt));
      for (std::string line; std::getline(lines, line) && !lines.eof();) {
        if (absl::StartsWith(line, beginning)) {
          rest = line.substr(beginning.size());
          return true;
        }
      }
      return false;
    })) << "no line '"
        << beginning << "' in: " << Log(attempt);
    return rest;
  }

  absl::StatusOr<std::string> TryLaunch(int attempt = 1, int cores = 1, int nodes = 1) {
    jobs::LaunchRequest request;
    request.resources.nodes = nodes;
    request.job_id = "a-job";
    request.attempt = attempt;
    request.token = kToken;
    request.attempt_dir = AttemptDir(attempt);
    request.resources.cores = cores;
    auto launched = executor_->Launch(request);
    if (!launched.ok()) return launched.status();
    EXPECT_TRUE(std::holds_alternative<jobs::LaunchRunning>(launched->status));
    return launched->handle;
  }

  std::string Launch(int attempt = 1, int cores = 1) {
    absl::StatusOr<std::string> handle = TryLaunch(attempt, cores);
    EXPECT_TRUE(handle.ok()) << handle.status();
    if (!handle.ok()) return "";
    launched_.push_back(*handle);
    return *handle;
  }

  // At last: a shell that has just forked to run a program looks like itself for a moment, twice.
  bool FindsNothing() {
    return Becomes(
        [this] { return absl::IsNotFound(executor_->Find("a-job", 2, kToken).status()); });
  }

  static pid_t PidOf(const std::string& handle) { return ProcessHandle::Parse(handle)->pid; }

  std::string dir_;
  std::atomic<std::int64_t> oom_kills_ = 7;
  Exits exits_;
  std::unique_ptr<ProcessExecutor> executor_;
  std::vector<std::string> launched_;
};

TEST_F(ProcessExecutorTest, PassesAddressJobAndAttempt) {
  SetWorker("echo \"arguments $*\"; echo \"threads $OMP_NUM_THREADS\"; echo problem >&2");
  const std::string handle = Launch(3);
  EXPECT_EQ(exits_.Await(handle), "exited with code 0");
  EXPECT_THAT(Log(3),
              HasSubstr("arguments --server=unix:/tmp/server.sock --job=a-job --attempt=3"));
  EXPECT_THAT(Log(3), HasSubstr("threads 1\n"));
  EXPECT_THAT(Log(3), HasSubstr("problem\n"));
}

TEST_F(ProcessExecutorTest, PassesTheTokenOutsideTheCommandLine) {
  SetWorker("echo \"token $ATELIER_WORKER_TOKEN\"; exec sleep 1000");
  const std::string handle = Launch();
  EXPECT_EQ(AwaitLine("token "), kToken);
  // Empty for a moment as the shell becomes another program.
  std::string command_line;
  EXPECT_TRUE(Becomes([&] {
    command_line = ReadFile(absl::StrCat("/proc/", PidOf(handle), "/cmdline"));
    return !command_line.empty();
  }));
  EXPECT_THAT(command_line, Not(HasSubstr(kToken)));
}

TEST_F(ProcessExecutorTest, TellsTheExitCode) {
  SetWorker("exit 3");
  EXPECT_EQ(exits_.Await(Launch()), "exited with code 3");
}

TEST_F(ProcessExecutorTest, TellsTheSignal) {
  const std::string handle = Launch();
  ASSERT_EQ(kill(PidOf(handle), SIGSEGV), 0);
  EXPECT_EQ(exits_.Await(handle), "killed by signal 11 (SIGSEGV)");
}

TEST_F(ProcessExecutorTest, TellsWhatASignalOfTheSandboxMeans) {
  const std::string handle = Launch();
  ASSERT_EQ(kill(PidOf(handle), SIGSYS), 0);
  EXPECT_EQ(exits_.Await(handle),
            "killed by signal 31 (SIGSYS), as when its sandbox refuses a system call");
}

TEST_F(ProcessExecutorTest, AppendsToTheLog) {
  SetWorker("echo one line");
  exits_.Await(Launch());
  exits_.Await(Launch());
  EXPECT_EQ(Log(), "one line\none line\n");
}

TEST_F(ProcessExecutorTest, KillsWhatTheProcessStarted) {
  SetWorker("sleep 1000 & echo \"child $!\"; wait");
  const std::string handle = Launch();
  int child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(AwaitLine("child "), &child));
  const absl::StatusOr<ProcessHandle> child_handle = ProcessHandle::Of(child);
  ASSERT_TRUE(child_handle.ok());
  ASSERT_TRUE(child_handle->Runs());
  executor_->Kill(handle);
  EXPECT_EQ(exits_.Await(handle), "killed by signal 9 (SIGKILL)");
  EXPECT_TRUE(Becomes([&] { return !child_handle->Runs(); }));
}

TEST_F(ProcessExecutorTest, LeavesNothingBehindAProcessThatEnds) {
  SetWorker("sleep 1000 & echo \"child $!\"");
  exits_.Await(Launch());
  int child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(AwaitLine("child "), &child));
  const absl::StatusOr<ProcessHandle> child_handle = ProcessHandle::Of(child);
  EXPECT_TRUE(Becomes([&] { return !child_handle.ok() || !child_handle->Runs(); }));
}

TEST_F(ProcessExecutorTest, KillingWhatHasEndedDoesNothing) {
  SetWorker("exit 0");
  const std::string handle = Launch();
  exits_.Await(handle);
  executor_->Kill(handle);
  executor_->Kill("no handle");
}

TEST_F(ProcessExecutorTest, DoesNotKillAnotherProcessOfTheSameId) {
  const std::string handle = Launch();
  ProcessHandle earlier = *ProcessHandle::Parse(handle);
  --earlier.start_ticks;
  executor_->Kill(earlier.ToString());
  EXPECT_EQ(executor_->Adopt(earlier.ToString()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(kill(PidOf(handle), SIGTERM), 0);
  EXPECT_EQ(exits_.Await(handle), "killed by signal 15 (SIGTERM)");
}

TEST_F(ProcessExecutorTest, ProcessesOutliveTheExecutorAndAreAdopted) {
  const std::string handle = Launch();
  executor_.reset();
  ASSERT_TRUE(ProcessHandle::Parse(handle)->Runs());
  executor_ = MakeExecutor("exec sleep 1000");
  ASSERT_TRUE(executor_->Adopt(handle).ok());
  executor_->Kill(handle);
  EXPECT_THAT(exits_.Await(handle), HasSubstr("killed by signal 9"));
}

TEST_F(ProcessExecutorTest, NoticesTheEndOfAProcessThatIsNoChild) {
  // The shell that starts it is its parent, and lives on.
  SetWorker("sleep 1000 & echo \"child $!\"; while :; do wait; done");
  Launch();
  int child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(AwaitLine("child "), &child));
  const std::string handle = ProcessHandle::Of(child)->ToString();
  ASSERT_TRUE(executor_->Adopt(handle).ok());
  ASSERT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(exits_.Await(handle), "ended");
}

TEST_F(ProcessExecutorTest, DoesNotAdoptWhatHasEnded) {
  SetWorker("exit 0");
  const std::string handle = Launch();
  exits_.Await(handle);
  EXPECT_EQ(executor_->Adopt(handle).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(executor_->Adopt("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ProcessExecutorTest, RunsBelowTheServerAndDiesBeforeIt) {
  const pid_t pid = PidOf(Launch());
  EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(pid)),
            std::min(getpriority(PRIO_PROCESS, 0) + 10, 19));
  EXPECT_EQ(ReadFile(absl::StrCat("/proc/", pid, "/oom_score_adj")), "500\n");
}

// Niceness belongs to a thread; the session's group of one that is started at 15 + 10 is at 19.
TEST_F(ProcessExecutorTest, TheSessionOfAWorkerIsNicedBelowANicedServer) {
  pid_t pid = 0;
  std::thread([&] {
    setpriority(PRIO_PROCESS, 0, 15);
    pid = PidOf(Launch());
  }).join();
  const std::string group = ReadFile(absl::StrCat("/proc/", pid, "/autogroup"));
  if (group.empty()) GTEST_SKIP() << "this kernel does not group processes by session";
  EXPECT_THAT(group, ::testing::EndsWith(" nice 19\n"));
}

TEST_F(ProcessExecutorTest, LeadsASessionAndGroupOfItsOwn) {
  const pid_t pid = PidOf(Launch());
  EXPECT_EQ(getsid(pid), pid);
  EXPECT_EQ(getpgid(pid), pid);
}

TEST_F(ProcessExecutorTest, PinsEachProcessToTheLeastUsedProcessors) {
  const std::vector<int> allowed = AllowedCpus(0);
  std::set<int> used;
  for (std::size_t i = 0; i < allowed.size() && i < 4; ++i) {
    const std::vector<int> cpus = AllowedCpus(PidOf(Launch(static_cast<int>(i) + 1)));
    ASSERT_EQ(cpus.size(), 1u);
    EXPECT_TRUE(used.insert(cpus[0]).second) << "processor " << cpus[0] << " given twice";
  }
  EXPECT_EQ(AllowedCpus(PidOf(Launch(9, static_cast<int>(allowed.size())))), allowed);
}

TEST_F(ProcessExecutorTest, CountsTheProcessorsOfAdoptedProcesses) {
  if (AllowedCpus(0).size() < 2) GTEST_SKIP() << "needs two processors";
  const std::string handle = Launch();
  executor_ = MakeExecutor("exec sleep 1000");
  ASSERT_TRUE(executor_->Adopt(handle).ok());
  EXPECT_NE(AllowedCpus(PidOf(Launch(2))), AllowedCpus(PidOf(handle)));
}

TEST_F(ProcessExecutorTest, HandsOverNoOpenFilesAndNoBlockedSignals) {
  const int open_fd = open("/dev/null", O_RDONLY);  // Not closed on exec by itself.
  const int high_fd = fcntl(open_fd, F_DUPFD, 100);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto* old_handler = signal(SIGUSR1, SIG_IGN);
  SetWorker(absl::StrCat("[ -e /proc/$$/fd/", high_fd, " ] && echo leaked; readlink /proc/$$/fd/0;",
                         "grep -E '^Sig(Blk|Ign)' /proc/$$/status"));
  exits_.Await(Launch());
  signal(SIGUSR1, old_handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(open_fd);
  close(high_fd);
  EXPECT_THAT(Log(), Not(HasSubstr("leaked")));
  EXPECT_THAT(Log(), HasSubstr("/dev/null\n"));
  EXPECT_THAT(Log(), HasSubstr("SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(Log(), HasSubstr("SigIgn:\t0000000000000000\n"));
}

TEST_F(ProcessExecutorTest, SaysWhyAProgramCannotRun) {
  ASSERT_TRUE(std::ofstream(dir_ + "/worker") << "#!/no/such/interpreter\n");
  const absl::StatusOr<std::string> handle = TryLaunch();
  EXPECT_EQ(handle.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(handle.status().message()), HasSubstr("No such file"));
}

TEST_F(ProcessExecutorTest, SaysWhyAFolderCannotBeMade) {
  ASSERT_TRUE(std::ofstream(dir_ + "/jobs") << "a file");
  const absl::StatusOr<std::string> handle = TryLaunch();
  EXPECT_EQ(handle.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(handle.status().message()), HasSubstr(AttemptDir(1)));
}

TEST_F(ProcessExecutorTest, FindsWhatAnEarlierServerStartedByNameAndToken) {
  SetWorker("while :; do sleep 1000; done");  // Its command line stays the one of the launch.
  const std::string handle = Launch(2);
  EXPECT_EQ(*executor_->Find("a-job", 2, kToken), handle);
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-job", 1, kToken).status()));
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-jo", 2, kToken).status()));
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-job", 2, "another").status()));
  executor_->Kill(handle);
  exits_.Await(handle);
  EXPECT_TRUE(FindsNothing());
}

TEST_F(ProcessExecutorTest, TellsTheFirstProcessHowManyThereAreAndFindsNoneOfTheOthers) {
  SetWorker(
      "case \"$*\" in *--rank=*) echo \"rank $$\" ;; *) echo \"first $*\"; setsid \"$0\" \"$@\" "
      "--rank=1 & ;; esac\nwhile :; do sleep 1000; done");
  const std::string handle = *TryLaunch(2, 1, 3);
  EXPECT_THAT(AwaitLine("first ", 2), HasSubstr("--ranks=3"));
  const int rank = std::stoi(AwaitLine("rank ", 2));
  executor_->Kill(handle);
  exits_.Await(handle);
  EXPECT_TRUE(FindsNothing());
  EXPECT_EQ(kill(rank, 0), 0) << "it is in a session of its own here";
  kill(-rank, SIGKILL);
}

TEST_F(ProcessExecutorTest, HandsOverOnlyWhatAWorkerNeedsOfTheEnvironment) {
  setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
  setenv("LC_MEASUREMENT", "C.UTF-8", 1);
  setenv("OMP_NUM_THREADS", "9", 1);
  SetWorker("env");
  exits_.Await(Launch());
  for (const char* name : {"AWS_SECRET_ACCESS_KEY", "LC_MEASUREMENT", "OMP_NUM_THREADS"}) {
    unsetenv(name);
  }
  EXPECT_THAT(Log(), Not(HasSubstr("hidden")));
  EXPECT_THAT(Log(), HasSubstr("LC_MEASUREMENT=C.UTF-8\n"));
  EXPECT_THAT(Log(), HasSubstr("PATH="));
  EXPECT_THAT(Log(), HasSubstr("OMP_NUM_THREADS=1\n"));
}

TEST_F(ProcessExecutorTest, TellsWhatTheKernelEndedForWantOfMemory) {
  const std::string killed = Launch(1);
  const std::string starved = Launch(2);
  ASSERT_EQ(kill(PidOf(killed), SIGKILL), 0);
  exits_.Await(killed);
  EXPECT_EQ(exits_.cause(killed), Cause::kUnknown);
  oom_kills_ = 8;
  ASSERT_EQ(kill(PidOf(starved), SIGKILL), 0);
  EXPECT_THAT(exits_.Await(starved), HasSubstr("memory"));
  EXPECT_EQ(exits_.cause(starved), Cause::kOutOfMemory);
  oom_kills_ = 9;  // Of another program, before there is a worker.
  const std::string later = Launch(3);
  ASSERT_EQ(kill(PidOf(later), SIGKILL), 0);
  exits_.Await(later);
  EXPECT_EQ(exits_.cause(later), Cause::kUnknown);
}

TEST_F(ProcessExecutorTest, KnowsTheWorkersExitCodes) {
  for (const auto& [code, cause] : std::map<int, Cause>{
           {3, Cause::kUnknown}, {4, Cause::kServerUnreachable}, {5, Cause::kOutOfMemory}}) {
    SetWorker(absl::StrCat("exit ", code));
    const std::string handle = Launch();
    exits_.Await(handle);
    EXPECT_EQ(exits_.cause(handle), cause) << code;
  }
}

// Takes every descriptor that is to be had.
class NoDescriptors {
 public:
  NoDescriptors() {
    for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY)) {
      held_.push_back(fd);
    }
  }
  ~NoDescriptors() {
    for (const int fd : held_) close(fd);
  }

 private:
  std::vector<int> held_;
};

TEST_F(ProcessExecutorTest, StartsAndEndsProcessesWhenThereAreNoDescriptorsLeft) {
  if (kAddressSanitizer) {
    GTEST_SKIP() << "the sanitizer's checks need descriptors of their own; other builds run this";
  }
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {std::min<rlim_t>(200, before.rlim_cur), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::string handle;
  {
    const NoDescriptors none;
    handle = Launch();
    executor_->Kill(handle);
    EXPECT_EQ(exits_.Await(handle), "killed by signal 9 (SIGKILL)");
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ProcessExecutorCreateTest, RefusesAMissingProgram) {
  const auto executor = ProcessExecutor::Create(WithProgram("/no/such/worker"));
  EXPECT_EQ(executor.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(executor.status().message()), HasSubstr("/no/such/worker"));
}

TEST(ProcessExecutorCreateTest, RefusesAFolder) {
  const auto executor = ProcessExecutor::Create(WithProgram("/tmp"));
  EXPECT_EQ(executor.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(executor.status().message()), HasSubstr("/tmp: Is a directory"));
}

}  // namespace
}  // namespace atelier::processes
