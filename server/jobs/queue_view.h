// Where queued jobs stand, and what jobs wait for that an engine has in a queue of its own, for
// readers who must not wait for the controller's lock, which is held
// while changes are stored.
//
// Places are not kept but counted when they are asked for, by binary search among the keys of the
// jobs: a change costs the same however many jobs wait, and so does a look.
#ifndef ATELIER_SERVER_JOBS_QUEUE_VIEW_H_
#define ATELIER_SERVER_JOBS_QUEUE_VIEW_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "server/base/mutex.h"
#include "server/jobs/job_store.h"

namespace atelier::jobs {

// Thread-safe; its lock is a leaf.
class QueueView {
 public:
  struct Place {
    int number = 0;              // 0 for the job that leaves next.
    std::string waiting_reason;  // As TrainingJob.waiting_reason.
  };

  // The job waits from now on. `waiting_reason` may be empty.
  void Add(const JobRecord& record, const std::string& waiting_reason);
  // What a job waits for that waits already; empty for nothing of its own.
  void SetReason(const JobRecord& record, const std::string& waiting_reason);
  // The job waits no longer; does nothing if it did not.
  void Remove(const JobRecord& record);
  // What the job that leaves next waits for, whichever that is; shown in place of its own reason.
  // Empty for nothing.
  void SetHeadReason(std::string reason);

  // Nothing if the job does not wait.
  std::optional<Place> Find(const JobRecord& record) const;

  // What a job that has left the queue waits for; empty for nothing.
  void SetPending(const JobRecord& record, const std::string& why);
  std::string FindPending(const JobRecord& record) const;

 private:
  // The negated priority, then the sequence: less is in front, as in JobQueue.
  using Key = std::pair<int, std::int64_t>;
  static Key KeyOf(const JobRecord& record) {
    return {-record.job.spec().priority(), record.sequence};
  }

  mutable Mutex mutex_;
  std::deque<Key> waiting_ ABSL_GUARDED_BY(mutex_);  // Sorted: first to leave first.
  // By sequence; only of the jobs that have one.
  absl::flat_hash_map<std::int64_t, std::string> reasons_ ABSL_GUARDED_BY(mutex_);
  // By sequence; only of the jobs that wait so.
  absl::flat_hash_map<std::int64_t, std::string> pending_ ABSL_GUARDED_BY(mutex_);
  std::string head_reason_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_QUEUE_VIEW_H_
