// The system calls that a process may make, by seccomp: those that training, scoring, importing and
// the session with a server need. Any other is refused as if the kernel did not have it (ENOSYS),
// for which libraries have an answer, and named once in the standard output. To be called by one
// thread.
#ifndef ATELIER_SERVER_SANDBOX_SYSTEM_CALLS_H_
#define ATELIER_SERVER_SANDBOX_SYSTEM_CALLS_H_

#include "absl/status/status.h"

namespace atelier::sandbox {

struct NeededCalls {
  // Sockets of the Internet's kinds, besides those of this machine.
  bool network = false;
  // What a GPU's driver needs: calls to devices. Its threads take no signals, so what is refused is
  // not named.
  bool gpu = false;
  // Code that is made while the process runs, as oneDNN and LibTorch do. Decoders do not.
  bool makes_code = true;
};

// Restricts all threads, those that there are and those to come: no other program or process is
// started, traced or signalled, nothing is mounted, no socket is listened at, and the process stays
// who it is. FAILED_PRECONDITION if the kernel or a container refuses that.
absl::Status RestrictCalls(const NeededCalls& needed);

}  // namespace atelier::sandbox

#endif  // ATELIER_SERVER_SANDBOX_SYSTEM_CALLS_H_
