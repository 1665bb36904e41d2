// The audit log: who changed what, from where, with which result, and who was refused; JSON lines
// in files that are only appended to, in bounded space.
#ifndef ATELIER_SERVER_ACCESS_AUDIT_LOG_H_
#define ATELIER_SERVER_ACCESS_AUDIT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/v1/admin_service.pb.h"
#include "server/access/access_observer.h"
#include "server/access/audit_files.h"
#include "server/base/mutex.h"
#include "server/base/task_queue.h"

namespace atelier::access {

// Thread-safe.
class AuditLog {
 public:
  struct Options {
    AuditFiles::Options files = {};
    // Entries that wait for the disk; more are lost, which the log says.
    std::size_t max_waiting = 10'000;
    AccessObserver* observer = nullptr;                // Told of lost entries; may be null.
    std::function<void(const std::string&)> log = {};  // Told sentences; may be empty.
  };

  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(Options options);
  // Writes what waits.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Never waits: an entry is on the disk a moment later.
  void Add(v1::AuditEntry entry);

  // A page of entries; it reads one file at most, and waits until those that were added before are
  // written. INVALID_ARGUMENT for a wrong page size or token.
  absl::StatusOr<v1::ListAuditEntriesResponse> List(const v1::ListAuditEntriesRequest& request);

 private:
  explicit AuditLog(Options options) : options_(std::move(options)) {}
  // On the task's thread.
  void Write();
  // Writes entries, or counts them as lost.
  void WriteAll(const std::deque<v1::AuditEntry>& entries, std::size_t lost);
  void AwaitWritten();

  // Constant after construction.
  const Options options_;
  std::unique_ptr<AuditFiles> files_;

  std::string complaint_;  // The last that was logged; the task's.

  Mutex mutex_;
  CondVar written_;
  std::deque<v1::AuditEntry> waiting_ ABSL_GUARDED_BY(mutex_);
  std::size_t lost_ ABSL_GUARDED_BY(mutex_) = 0;  // Since the last that was written.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // A task runs or is about to.

  // Last: it ends first.
  TaskQueue tasks_{TaskQueue::Options{.name = "audit", .threads = 1, .capacity = 1}};
};

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_AUDIT_LOG_H_
