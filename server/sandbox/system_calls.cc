#include "server/sandbox/system_calls.h"

#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace atelier::sandbox {
namespace {

// Whatever their arguments are. Names that this machine or its libseccomp does not have are left
// out.
constexpr const char* kCalls[] = {
    // Descriptors and files.
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "lseek", "open", "openat", "openat2", "close", "close_range", "dup", "dup2", "dup3",
    "fcntl", "flock", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate",
    "fadvise64", "readahead", "copy_file_range", "sendfile", "stat", "lstat", "fstat", "newfstatat",
    "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
    "getdents", "getdents64", "getcwd", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "utime", "utimes", "utimensat", "umask", "pipe", "pipe2",
    // Memory.
    "brk", "munmap", "mremap", "madvise", "msync", "mincore", "mlock", "mlock2", "munlock",
    "membarrier", "get_mempolicy", "set_mempolicy", "mbind",
    // Threads, their time and their signals.
    "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "futex", "futex_waitv",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_max", "sched_get_priority_min", "getpriority", "getcpu", "nanosleep",
    "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack", "pause",
    "restart_syscall", "exit", "exit_group",
    // Who and where it is.
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
    "getresgid", "getgroups", "getpgrp", "getpgid", "getsid", "uname", "sysinfo", "getrusage",
    "getrlimit", "setrlimit", "getrandom", "arch_prctl", "prctl", "capget",
    // Waiting, and sockets that there are.
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "poll", "ppoll", "select", "pselect6", "eventfd", "eventfd2", "connect", "shutdown",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "sendto", "sendmsg", "sendmmsg",
    "recvfrom", "recvmsg", "recvmmsg"};

constexpr auto kUnknownCall = SCMP_ACT_ERRNO(ENOSYS);
// Of a signal that a refused call raises, SYS_SECCOMP in the kernel's headers.
constexpr int kRefusedCode = 1;

#if defined(__x86_64__) || defined(__aarch64__)
// What a thread finds as the result of the call that raised a signal.
void SetResult(void* context, std::int64_t result) {
  mcontext_t& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  machine.gregs[REG_RAX] = result;
#else
  machine.regs[0] = static_cast<std::uint64_t>(result);
#endif
}

constexpr std::size_t kKnownNumbers = 600;
// By number, as long as the call was not refused.
std::array<std::atomic<const std::string*>, kKnownNumbers> refusals;

void HandleRefusedCall(int number, siginfo_t* info, void* context) {
  if (info->si_code != kRefusedCode) {
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  const int before = errno;
  const auto call = static_cast<std::size_t>(info->si_syscall);
  if (const std::string* line = call < refusals.size() ? refusals[call].exchange(nullptr) : nullptr;
      line != nullptr) {
    [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, line->data(), line->size());
  }
  errno = before;
  SetResult(context, -ENOSYS);
}

// Refused calls raise a signal, whose handler names and answers them.
std::uint32_t ActionForOthers(const NeededCalls& needed) {
  if (needed.gpu) return kUnknownCall;
  for (std::size_t call = 0; call < refusals.size(); ++call) {
    const std::unique_ptr<char, decltype(&free)> name(
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(call)), &free);
    // Kept for good: a thread may write it until the process ends.
    refusals[call] =
        new std::string(absl::StrCat("sandbox: refused the system call ",
                                     name == nullptr ? absl::StrCat(call) : name.get(), "\n"));
  }
  struct sigaction action = {};
  action.sa_sigaction = HandleRefusedCall;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSYS, &action, nullptr);
  return SCMP_ACT_TRAP;
}
#else
std::uint32_t ActionForOthers(const NeededCalls& /*needed*/) { return kUnknownCall; }
#endif

// The list as libseccomp has it, until it is in force.
class Filter {
 public:
  explicit Filter(std::uint32_t action_for_others)
      : action_for_others_(action_for_others),
        context_(seccomp_init(action_for_others), &seccomp_release) {
    if (context_ == nullptr) error_ = -ENOMEM;
  }

  void Set(scmp_filter_attr attribute, std::uint32_t value) {
    if (error_ == 0) error_ = seccomp_attr_set(context_.get(), attribute, value);
  }

  void Add(std::uint32_t action, const char* name,
           const std::vector<scmp_arg_cmp>& arguments = {}) {
    const int number = seccomp_syscall_resolve_name(name);
    if (error_ != 0 || number < 0 || action == action_for_others_) return;
    error_ = seccomp_rule_add_array(context_.get(), action, number,
                                    static_cast<unsigned>(arguments.size()), arguments.data());
  }

  absl::Status Load() {
    if (error_ == 0) error_ = seccomp_load(context_.get());
    if (error_ == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the list of system calls: ", std::strerror(-error_)));
  }

 private:
  const std::uint32_t action_for_others_;
  const std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int error_ = 0;  // Negative, as libseccomp has it.
};

scmp_arg_cmp Equals(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp HasBits(unsigned argument, std::uint64_t mask, std::uint64_t bits) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, bits};
}

// Threads, but no processes. clone3 hides its flags in memory, so the C library is told that there
// is none; it makes both with all signals blocked, which is why neither may raise one.
void AddThreads(Filter* filter) {
  filter->Add(SCMP_ACT_ALLOW, "clone", {HasBits(0, CLONE_THREAD, CLONE_THREAD)});
  filter->Add(SCMP_ACT_ERRNO(EPERM), "clone", {HasBits(0, CLONE_THREAD, 0)});
  filter->Add(SCMP_ACT_ERRNO(EPERM), "fork");
  filter->Add(SCMP_ACT_ERRNO(EPERM), "vfork");
  filter->Add(kUnknownCall, "clone3");
}

void AddProcess(Filter* filter) {
  const auto own = static_cast<std::uint64_t>(getpid());
  for (const char* call : {"kill", "tgkill", "prlimit64"}) {
    filter->Add(SCMP_ACT_ALLOW, call, {Equals(0, own)});
  }
  filter->Add(SCMP_ACT_ALLOW, "prlimit64", {Equals(0, 0)});
}

void AddSockets(bool network, Filter* filter) {
  filter->Add(SCMP_ACT_ALLOW, "socket", {Equals(0, AF_UNIX)});
  filter->Add(SCMP_ACT_ALLOW, "socketpair", {Equals(0, AF_UNIX)});
  if (!network) return;
  // Names are looked up by way of the kernel's list of addresses.
  for (const int family : {AF_INET, AF_INET6, AF_NETLINK}) {
    filter->Add(SCMP_ACT_ALLOW, "socket", {Equals(0, static_cast<std::uint64_t>(family))});
  }
  filter->Add(SCMP_ACT_ALLOW, "bind");
}

void AddMemory(bool makes_code, Filter* filter) {
  if (makes_code) {
    filter->Add(SCMP_ACT_ALLOW, "mmap");
    filter->Add(SCMP_ACT_ALLOW, "mprotect");
    return;
  }
  // Libraries are mapped to be executed, but not written, and what was written is not executed.
  filter->Add(SCMP_ACT_ALLOW, "mmap", {HasBits(2, PROT_EXEC, 0)});
  filter->Add(SCMP_ACT_ALLOW, "mmap", {HasBits(2, PROT_WRITE | PROT_EXEC, PROT_EXEC)});
  filter->Add(SCMP_ACT_ALLOW, "mprotect", {HasBits(2, PROT_EXEC, 0)});
}

void AddDevices(bool gpu, Filter* filter) {
  if (gpu) {
    filter->Add(SCMP_ACT_ALLOW, "ioctl");
    filter->Add(SCMP_ACT_ALLOW, "memfd_create");
    return;
  }
  for (const std::uint64_t request : {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX}) {
    filter->Add(SCMP_ACT_ALLOW, "ioctl", {Equals(1, request)});
  }
}

}  // namespace

absl::Status RestrictCalls(const NeededCalls& needed) {
  Filter filter(ActionForOthers(needed));
  filter.Set(SCMP_FLTATR_CTL_TSYNC, 1);
  // No slower arithmetic, as old kernels would have it: a worker keeps secrets from nobody within.
  filter.Set(SCMP_FLTATR_CTL_SSB, 1);
  for (const char* call : kCalls) filter.Add(SCMP_ACT_ALLOW, call);
  AddThreads(&filter);
  AddProcess(&filter);
  AddSockets(needed.network, &filter);
  AddMemory(needed.makes_code, &filter);
  AddDevices(needed.gpu, &filter);
  return filter.Load();
}

}  // namespace atelier::sandbox
