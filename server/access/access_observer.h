// What is reported of callers that were refused: the seam to the metrics.
#ifndef ATELIER_SERVER_ACCESS_ACCESS_OBSERVER_H_
#define ATELIER_SERVER_ACCESS_ACCESS_OBSERVER_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace atelier::access {

// Thread-safe; never waits.
class AccessObserver {
 public:
  virtual ~AccessObserver() = default;
  // A call was refused for this reason, one of the few of Gatekeeper and caller.h.
  virtual void Refused(absl::string_view reason) = 0;
  // The access file was read again: whether it can be used.
  virtual void FileRead(bool usable) = 0;
  // So many entries of the audit log could not be written.
  virtual void AuditEntriesLost(std::size_t count) = 0;
};

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_ACCESS_OBSERVER_H_
