// Linked to every test program, as the programs' own main does it. Debian 13's Abseil takes a lock
// for an earlier one at the same address, whose order with others it remembers, and ends the
// process for a deadlock that is none.
#include "absl/synchronization/mutex.h"

namespace {

[[maybe_unused]] const bool ignored = [] {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return true;
}();

}  // namespace
