// Jobs that wait for cores: higher priority first, then in the order of acceptance. Not
// thread-safe; the controller's lock guards it.
#ifndef ATELIER_SERVER_JOBS_JOB_QUEUE_H_
#define ATELIER_SERVER_JOBS_JOB_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace atelier::jobs {

// One job that waits.
struct QueuedJob {
  std::string id;
  int priority = 0;           // Higher leaves first.
  std::int64_t sequence = 0;  // Lower leaves first among equals; the order of acceptance.
  int cores = 1;
  std::int64_t memory_bytes = 0;

  // In the order in which they leave.
  friend bool operator<(const QueuedJob& a, const QueuedJob& b);
};

// Bounded for new jobs alone: a job that was running and has to wait again always finds room, and
// its old sequence number puts it before all that were accepted after it.
class JobQueue {
 public:
  explicit JobQueue(std::size_t capacity) : capacity_(capacity) {}

  // True if a new job must be refused.
  bool full() const { return jobs_.size() >= capacity_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t size() const { return jobs_.size(); }
  bool empty() const { return jobs_.empty(); }

  void Push(QueuedJob job);
  // The job that leaves next; the queue must not be empty.
  const QueuedJob& front() const { return *jobs_.begin(); }
  void PopFront();
  // Removes a job wherever it stands; false if it is not in the queue.
  bool Remove(absl::string_view id);

  // First to leave first.
  const std::set<QueuedJob>& jobs() const { return jobs_; }

 private:
  const std::size_t capacity_;
  std::set<QueuedJob> jobs_;
  absl::flat_hash_map<std::string, std::set<QueuedJob>::const_iterator> by_id_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_QUEUE_H_
