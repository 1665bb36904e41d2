#include "server/sandbox/visible_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace atelier::sandbox {
namespace {

namespace fs = std::filesystem;

// As linux/landlock.h has them, of which Debian 12's lacks the newer ones.
constexpr std::uint64_t kWriteFile = 1 << 1;
constexpr std::uint64_t kReadFile = 1 << 2;
constexpr std::uint64_t kReadFolder = 1 << 3;
constexpr std::uint64_t kRemoveFolder = 1 << 4;
constexpr std::uint64_t kRemoveFile = 1 << 5;
constexpr std::uint64_t kMakeFolder = 1 << 7;
constexpr std::uint64_t kMakeFile = 1 << 8;
constexpr std::uint64_t kTruncate = 1 << 14;
constexpr std::uint64_t kDeviceCalls = 1 << 15;
constexpr std::uint64_t kOfFiles = 1 << 0 | kWriteFile | kReadFile | kTruncate | kDeviceCalls;

constexpr std::uint64_t kRead = kReadFile | kReadFolder;
constexpr std::uint64_t kWrite =
    kRead | kWriteFile | kRemoveFolder | kRemoveFile | kMakeFolder | kMakeFile | kTruncate;
constexpr std::uint64_t kDevice = kRead | kWriteFile | kDeviceCalls;

constexpr std::uint64_t kBindTcp = 1 << 0;
constexpr std::uint64_t kConnectTcp = 1 << 1;
constexpr std::uint64_t kAbstractSockets = 1 << 0;

constexpr unsigned kVersionFlag = 1;
constexpr int kPathRule = 1;
constexpr int kPortRule = 2;

struct Ruleset {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scoped = 0;
};
struct [[gnu::packed]] PathRule {
  std::uint64_t allowed = 0;
  std::int32_t descriptor = -1;
};
struct PortRule {
  std::uint64_t allowed = 0;
  std::uint64_t port = 0;
};

// Everything that a version knows of files.
std::uint64_t FileRights(int abi) {
  const int count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  return (std::uint64_t{1} << count) - 1;
}

absl::Status Failed(absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("Landlock: ", what, ": ", std::strerror(errno)));
}

// The rules, until they are in force.
class Rules {
 public:
  explicit Rules(int abi) : rights_(FileRights(abi)) {
    Ruleset ruleset = {.files = rights_};
    if (abi >= 4) ruleset.network = kBindTcp | kConnectTcp;
    if (abi >= 6) ruleset.scoped = kAbstractSockets;
    descriptor_ =
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0));
    if (descriptor_ < 0) status_ = Failed("a set of rules");
  }
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;
  ~Rules() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  void Allow(const std::string& path, std::uint64_t allowed) {
    if (!status_.ok()) return;
    const int descriptor = open(path.c_str(), O_PATH | O_CLOEXEC);
    if (descriptor < 0) return;
    const absl::Cleanup close_it = [descriptor] { close(descriptor); };
    struct stat about = {};
    if (fstat(descriptor, &about) != 0) return;
    PathRule rule = {allowed & rights_, descriptor};
    if (!S_ISDIR(about.st_mode)) rule.allowed &= kOfFiles;
    if (syscall(SYS_landlock_add_rule, descriptor_, kPathRule, &rule, 0) != 0) {
      status_ = Failed(path);
    }
  }

  void AllowPort(int port) {
    if (!status_.ok()) return;
    PortRule rule = {kConnectTcp, static_cast<std::uint64_t>(port)};
    if (syscall(SYS_landlock_add_rule, descriptor_, kPortRule, &rule, 0) != 0) {
      status_ = Failed(absl::StrCat("port ", port));
    }
  }

  int descriptor() const { return descriptor_; }
  const absl::Status& status() const { return status_; }

 private:
  const std::uint64_t rights_;
  int descriptor_ = -1;
  absl::Status status_;
};

void AllowSystem(Rules* rules) {
  for (const char* path :
       {"/usr", "/lib", "/lib64", "/opt", "/proc", "/sys", "/dev/urandom", "/dev/random",
        "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf"}) {
    rules->Allow(path, kRead);
  }
  // Threads are named in the last one.
  for (const char* path : {"/dev/null", "/dev/zero", "/proc/self/task"}) {
    rules->Allow(path, kRead | kWriteFile);
  }
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  rules->Allow(folder, kRead);
  rules->Allow(folder.parent_path() / "lib", kRead);
  if (const char* libraries = getenv("LD_LIBRARY_PATH"); libraries != nullptr) {
    for (const absl::string_view library : absl::StrSplit(libraries, ':', absl::SkipEmpty())) {
      rules->Allow(std::string(library), kRead);
    }
  }
}

void AllowServer(int port, int abi, Rules* rules) {
  if (abi >= 4) rules->AllowPort(port);
  for (const char* path : {"/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf",
                           "/etc/gai.conf", "/etc/services", "/run/systemd/resolve"}) {
    rules->Allow(path, kRead);
  }
}

void AllowGpu(Rules* rules) {
  std::error_code error;
  for (fs::directory_iterator entry("/dev", error), end; !error && entry != end;
       entry.increment(error)) {
    if (absl::StartsWith(entry->path().filename().string(), "nvidia")) {
      rules->Allow(entry->path(), kDevice);
    }
  }
}

// A data set's files may be links to where they really lie.
void AllowReading(const std::string& path, Rules* rules) {
  rules->Allow(path, kRead);
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_symlink(ignored)) rules->Allow(entry->path(), kRead);
  }
}

// Landlock restricts the thread that asks, and threads that it starts. Those that there are already
// are asked by a signal, one after the other.
constexpr int kSignal = SIGUSR1;
std::atomic<int> given_rules{-1};
std::atomic<int> answers{0};
std::atomic<int> error_of_one{0};

void RestrictThisThread(int /*signal*/) {
  const int before = errno;
  if (syscall(SYS_landlock_restrict_self, given_rules.load(), 0) != 0) error_of_one = errno;
  ++answers;
  errno = before;
}

// Waits for one thread's answer; false if it gives none. One that ends meanwhile needs none.
bool AwaitAnswer(pid_t thread, int before) {
  constexpr std::chrono::seconds kPatience(5);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (answers == before && tgkill(getpid(), thread, 0) == 0) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

absl::Status RestrictOtherThreads(int rules) {
  given_rules = rules;
  struct sigaction action = {};
  action.sa_handler = RestrictThisThread;
  action.sa_flags = SA_RESTART;
  sigaction(kSignal, &action, nullptr);
  // Later ones do nothing, also those that a thread has not taken yet.
  const absl::Cleanup ignore = [] { signal(kSignal, SIG_IGN); };
  std::set<pid_t> asked = {gettid()};
  // Again, for those that one which was not restricted yet has started meanwhile.
  for (std::size_t before = 0; before != asked.size();) {
    before = asked.size();
    std::error_code error;
    for (fs::directory_iterator entry("/proc/self/task", error), end; !error && entry != end;
         entry.increment(error)) {
      pid_t thread = 0;
      if (!absl::SimpleAtoi(entry->path().filename().string(), &thread) ||
          !asked.insert(thread).second) {
        continue;
      }
      const int answers_before = answers;
      if (tgkill(getpid(), thread, kSignal) == 0 && !AwaitAnswer(thread, answers_before)) {
        return absl::FailedPreconditionError(
            absl::StrCat("Landlock: thread ", thread, " takes no signals"));
      }
    }
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("Landlock: /proc/self/task: ", error.message()));
    }
  }
  errno = error_of_one;
  return errno == 0 ? absl::OkStatus() : Failed("a thread");
}

}  // namespace

int LandlockAbi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionFlag);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

absl::StatusOr<int> RestrictFiles(const VisibleFiles& files) {
  const int abi = LandlockAbi();
  if (abi == 0) return Failed("this kernel or container does not have it");
  Rules rules(abi);
  AllowSystem(&rules);
  if (files.tcp_port != 0) AllowServer(files.tcp_port, abi, &rules);
  if (files.gpu) AllowGpu(&rules);
  for (const std::string& path : files.reads) AllowReading(path, &rules);
  for (const std::string& path : files.writes) rules.Allow(path, kWrite);
  for (const std::string& path : files.empties) rules.Allow(path, kRemoveFolder);
  if (!rules.status().ok()) return rules.status();
  // The others first: who is restricted may not signal those who are not.
  absl::Status status = RestrictOtherThreads(rules.descriptor());
  if (syscall(SYS_landlock_restrict_self, rules.descriptor(), 0) != 0) {
    status.Update(Failed("this thread"));
  }
  if (!status.ok()) return status;
  return abi;
}

}  // namespace atelier::sandbox
