// Linked to every test program: what the programs' own main sets for the whole process.
#include <signal.h>

#include "absl/synchronization/mutex.h"

namespace {

[[maybe_unused]] const bool set = [] {
  // Debian 13's Abseil takes a lock for an earlier one at the same address, whose order with others
  // it remembers, and ends the process for a deadlock that is none.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Who writes to a connection that its other side has left is told so by the call.
  signal(SIGPIPE, SIG_IGN);
  return true;
}();

}  // namespace
