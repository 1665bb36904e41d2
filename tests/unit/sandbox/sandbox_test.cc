// Walls cannot be taken down again, so whatever is done within them is done by a child of this
// process.
#include "server/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// 0, or why it cannot be opened.
int OpenError(const std::string& path, int flags = O_RDONLY) {
  const int descriptor = open(path.c_str(), flags, 0644);
  if (descriptor < 0) return errno;
  close(descriptor);
  return 0;
}

// What a child finds to be otherwise than expected, a line each, on its standard output.
void Expect(bool true_of_it, const char* what) {
  if (!true_of_it) dprintf(STDOUT_FILENO, "not: %s (%s)\n", what, strerrorname_np(errno));
}
#define EXPECT_WITHIN(condition) Expect((condition), #condition)

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    std::string pattern = ::testing::TempDir() + "/sandbox-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    for (const char* folder : {"own", "given", "others"}) fs::create_directory(dir_ / folder);
    for (const char* file : {"given/data", "others/model", "database"}) {
      std::ofstream(dir_ / file) << "content";
    }
    walls_.files.reads = {dir_ / "given"};
    walls_.files.writes = {dir_ / "own"};
    walls_.max_file_bytes = 1 << 20;
  }
  ~SandboxTest() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ / name; }

  // Runs a child, and answers with what it wrote to its standard output; a signal ends it with a
  // word.
  static std::string InChild(const std::function<void()>& work) {
    int output[2];
    EXPECT_EQ(pipe(output), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(output[1], STDOUT_FILENO);
      work();
      _exit(0);
    }
    close(output[1]);
    std::string written;
    char buffer[4096];
    for (ssize_t size; (size = read(output[0], buffer, sizeof(buffer))) > 0;) {
      written.append(buffer, static_cast<std::size_t>(size));
    }
    close(output[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) written += "killed by signal " + std::to_string(WTERMSIG(status));
    return written;
  }

  // As InChild, within the walls, all of which have to stand.
  std::string Within(const std::function<void()>& work) const {
    return InChild([&] {
      if (const absl::Status prepared = Prepare(); !prepared.ok()) {
        dprintf(STDOUT_FILENO, "%s\n", std::string(prepared.message()).c_str());
      }
      if (const Standing standing = Enter(walls_); !standing.complete.ok()) {
        dprintf(STDOUT_FILENO, "%s\n", std::string(standing.complete.message()).c_str());
      }
      work();
    });
  }

  fs::path dir_;
  Walls walls_;
};

// With what needs a kernel that has Landlock.
class VisibleFilesTest : public SandboxTest {
 protected:
  void SetUp() override {
    if (LandlockAbi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  }
};

TEST_F(VisibleFilesTest, WhatIsGivenIsReadAndNothingElse) {
  EXPECT_EQ(
      Within([this] {
        EXPECT_WITHIN(ReadFile(Path("given/data")) == "content");
        for (const char* other : {"others/model", "database"}) {
          EXPECT_WITHIN(OpenError(Path(other)) == EACCES);
        }
        for (const char* other : {"/etc/shadow", "/etc/passwd", "/root", "/home", "/tmp", "/"}) {
          EXPECT_WITHIN(OpenError(other) == EACCES);
        }
        EXPECT_WITHIN(OpenError(dir_, O_RDONLY | O_DIRECTORY) == EACCES);
        EXPECT_WITHIN(OpenError(Path("given/data"), O_WRONLY) == EACCES);
        EXPECT_WITHIN(OpenError(Path("given/new"), O_WRONLY | O_CREAT) == EACCES);
      }),
      "");
}

TEST_F(VisibleFilesTest, OnlyItsOwnFolderIsWritten) {
  EXPECT_EQ(Within([this] {
              EXPECT_WITHIN(OpenError(Path("own/file"), O_WRONLY | O_CREAT) == 0);
              EXPECT_WITHIN(rename(Path("own/file").c_str(), Path("own/other").c_str()) == 0);
              EXPECT_WITHIN(mkdir(Path("own/folder").c_str(), 0755) == 0);
              EXPECT_WITHIN(unlink(Path("own/other").c_str()) == 0);
              EXPECT_WITHIN(OpenError(Path("file"), O_WRONLY | O_CREAT) == EACCES);
              EXPECT_WITHIN(truncate(Path("others/model").c_str(), 0) != 0);
              EXPECT_WITHIN(mkdir(Path("others/folder").c_str(), 0755) != 0);
              EXPECT_WITHIN(unlink(Path("others/model").c_str()) != 0);
              EXPECT_WITHIN(rename(Path("others/model").c_str(), Path("own/model").c_str()) != 0);
              EXPECT_WITHIN(symlink("/etc/shadow", Path("own/link").c_str()) != 0);
              EXPECT_WITHIN(link(Path("given/data").c_str(), Path("own/link").c_str()) != 0);
              EXPECT_WITHIN(OpenError("/usr/file", O_WRONLY | O_CREAT) == EACCES);
              EXPECT_WITHIN(OpenError("/tmp/atelier-sandbox", O_WRONLY | O_CREAT) == EACCES);
            })
                // Links and cutting off by name are not on the list of calls at all.
                .find("not:"),
            std::string::npos);
  EXPECT_EQ(ReadFile(Path("others/model")), "content");
}

TEST_F(VisibleFilesTest, FilesThatAFolderNamesByLinksAreSeen) {
  fs::create_symlink(dir_ / "others" / "model", dir_ / "given" / "link");
  EXPECT_EQ(Within([this] { EXPECT_WITHIN(ReadFile(Path("given/link")) == "content"); }), "");
}

TEST_F(VisibleFilesTest, ThreadsThatRanBeforeAreWalledInToo) {
  const std::string written = InChild([this] {
    EXPECT_WITHIN(Prepare().ok());
    std::atomic<bool> entered = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        while (!entered) sched_yield();
        EXPECT_WITHIN(OpenError(Path("database")) == EACCES);
        EXPECT_WITHIN(ReadFile(Path("given/data")) == "content");
        std::thread([&] { EXPECT_WITHIN(OpenError(Path("database")) == EACCES); }).join();
      });
    }
    EXPECT_WITHIN(Enter(walls_).complete.ok());
    entered = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_WITHIN(ReadFile("/proc/thread-self/status").find("Seccomp:\t2") != std::string::npos);
  });
  EXPECT_EQ(written, "");
}

TEST_F(VisibleFilesTest, AThreadThatTakesNoSignalsIsSaid) {
  const std::string written = InChild([this] {
    std::atomic<bool> blocked = false;
    std::thread deaf([&] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, nullptr);
      blocked = true;
      pause();
    });
    while (!blocked) sched_yield();
    EXPECT_WITHIN(Prepare().ok());
    const Standing standing = Enter(walls_);
    dprintf(STDOUT_FILENO, "%s\n", std::string(standing.complete.message()).c_str());
    // What could be restricted is.
    EXPECT_WITHIN(OpenError(Path("database")) == EACCES);
    _exit(0);
  });
  EXPECT_THAT(written, HasSubstr("takes no signals"));
  EXPECT_THAT(written, Not(HasSubstr("not:")));
}

TEST_F(VisibleFilesTest, OnlyTheServersPortIsDialled) {
  if (LandlockAbi() < 4) GTEST_SKIP() << "this kernel's Landlock knows nothing of TCP";
  const auto listen_somewhere = [](sockaddr_in* address) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    *address = {};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(*address);
    EXPECT_EQ(bind(socket, reinterpret_cast<sockaddr*>(address), size), 0);
    EXPECT_EQ(listen(socket, 1), 0);
    EXPECT_EQ(getsockname(socket, reinterpret_cast<sockaddr*>(address), &size), 0);
    return socket;
  };
  sockaddr_in server, other;
  const int sockets[] = {listen_somewhere(&server), listen_somewhere(&other)};
  walls_.files.tcp_port = ntohs(server.sin_port);
  walls_.calls.network = true;
  EXPECT_EQ(Within([&] {
              const auto dial = [](const sockaddr_in& address) {
                const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
                const auto* where = reinterpret_cast<const sockaddr*>(&address);
                return connect(socket, where, sizeof(address)) == 0 ? 0 : errno;
              };
              EXPECT_WITHIN(dial(server) == 0);
              EXPECT_WITHIN(dial(other) == EACCES);
            }),
            "");
  for (const int socket : sockets) close(socket);
}

TEST_F(SandboxTest, NoProgramAndNoProcessIsStarted) {
  const std::string written = Within([] {
    EXPECT_WITHIN(fork() < 0);
    EXPECT_WITHIN(syscall(SYS_vfork) < 0);
    pid_t child = 0;
    char name[] = "true";
    char* arguments[] = {name, nullptr};
    EXPECT_WITHIN(posix_spawn(&child, "/bin/true", nullptr, nullptr, arguments, nullptr) != 0);
    execve("/bin/true", arguments, nullptr);
    execve("/bin/true", arguments, nullptr);
    EXPECT_WITHIN(errno == ENOSYS);
  });
  // Once, whatever is refused how often.
  EXPECT_EQ(written, "sandbox: refused the system call execve\n");
}

TEST_F(SandboxTest, NobodyIsTracedOrSignalled) {
  const pid_t parent = getpid();
  const std::string written = Within([parent] {
    EXPECT_WITHIN(ptrace(PTRACE_ATTACH, parent, nullptr, nullptr) != 0);
    char byte = 0;
    iovec here = {&byte, 1};
    iovec there = {&byte, 1};
    EXPECT_WITHIN(process_vm_readv(parent, &here, 1, &there, 1, 0) < 0);
    EXPECT_WITHIN(kill(parent, SIGCONT) != 0);
    EXPECT_WITHIN(kill(getpid(), 0) == 0);
    rlimit limit = {};
    EXPECT_WITHIN(prlimit(parent, RLIMIT_NOFILE, nullptr, &limit) != 0);
    EXPECT_WITHIN(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max <= 1024);
  });
  EXPECT_THAT(written, Not(HasSubstr("not:")));
  EXPECT_THAT(written, HasSubstr("refused the system call ptrace\n"));
}

TEST_F(SandboxTest, SocketsAreOfThisMachine) {
  const std::string written = Within([] {
    EXPECT_WITHIN(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    EXPECT_WITHIN(socket(AF_INET, SOCK_STREAM, 0) < 0);
    EXPECT_WITHIN(socket(AF_INET6, SOCK_DGRAM, 0) < 0);
    EXPECT_WITHIN(socket(AF_PACKET, SOCK_RAW, 0) < 0);
  });
  EXPECT_EQ(written, "sandbox: refused the system call socket\n");
}

TEST_F(SandboxTest, DecodersRunNoCodeThatTheyMade) {
  const auto run = [] {
    constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, kPrivate, -1, 0);
    if (page != MAP_FAILED) dprintf(STDOUT_FILENO, "mapped\n");
    page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, kPrivate, -1, 0);
    EXPECT_WITHIN(page != MAP_FAILED);
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) dprintf(STDOUT_FILENO, "changed\n");
    EXPECT_WITHIN(mprotect(page, 4096, PROT_READ) == 0);
  };
  EXPECT_EQ(Within(run), "mapped\nchanged\n");
  walls_.calls.makes_code = false;
  EXPECT_EQ(Within(run),
            "sandbox: refused the system call mmap\nsandbox: refused the system call mprotect\n");
}

TEST_F(SandboxTest, LibrariesAreStillOpened) {
  walls_.calls.makes_code = false;
  EXPECT_EQ(Within([] { EXPECT_WITHIN(dlopen("libcrypt.so.1", RTLD_NOW) != nullptr); }), "");
}

TEST_F(SandboxTest, ThreadsAreStartedAndNamed) {
  EXPECT_EQ(Within([] {
              std::atomic<bool> named = false;
              std::thread thread([&] {
                while (!named) sched_yield();
              });
              EXPECT_WITHIN(pthread_setname_np(thread.native_handle(), "a name") == 0);
              named = true;
              thread.join();
            }),
            "");
}

TEST_F(SandboxTest, FilesThatGrowTooLargeAreAnError) {
  walls_.max_file_bytes = 1000;
  EXPECT_EQ(Within([this] {
              const int file = open(Path("own/large").c_str(), O_WRONLY | O_CREAT, 0644);
              const std::string bytes(2000, 'x');
              EXPECT_WITHIN(write(file, bytes.data(), bytes.size()) == 1000);
              EXPECT_WITHIN(write(file, bytes.data(), bytes.size()) < 0 && errno == EFBIG);
            }),
            "");
}

TEST_F(SandboxTest, NothingIsInheritedAndNoCoreIsLeft) {
  const int inherited = open(Path("database").c_str(), O_RDONLY);
  EXPECT_EQ(
      InChild([inherited] {
        EXPECT_WITHIN(Prepare().ok());
        EXPECT_WITHIN(fcntl(inherited, F_GETFD) < 0);
        rlimit core = {1, 1};
        EXPECT_WITHIN(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
        EXPECT_WITHIN(ReadFile("/proc/self/status").find("NoNewPrivs:\t1") != std::string::npos);
      }),
      "");
  close(inherited);
}

// As within a container whose own list lacks Landlock.
TEST_F(SandboxTest, AWallThatCannotBePutUpIsSaidAndTheOtherStands) {
  const std::string written = InChild([this] {
    EXPECT_WITHIN(Prepare().ok());
    scmp_filter_ctx outer = seccomp_init(SCMP_ACT_ALLOW);
    EXPECT_WITHIN(seccomp_rule_add(outer, SCMP_ACT_ERRNO(EPERM), SYS_landlock_create_ruleset, 0) ==
                  0);
    EXPECT_WITHIN(seccomp_load(outer) == 0);
    const Standing standing = Enter(walls_);
    dprintf(STDOUT_FILENO, "%s\n%s\n", std::string(standing.complete.message()).c_str(),
            standing.walls.c_str());
    EXPECT_WITHIN(fork() < 0);
  });
  EXPECT_EQ(written,
            "Landlock: this kernel or container does not have it: Operation not permitted\n"
            "files of at most 1048576 bytes, system calls by list\n");
}

}  // namespace
}  // namespace atelier::sandbox
