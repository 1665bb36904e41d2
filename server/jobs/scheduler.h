// Decides which job starts next, by free cores and memory. Not thread-safe; the controller's lock
// guards it.
//
// Order is strict: while the job at the queue's head does not fit, nothing behind it starts, even
// if it would fit. Cores may idle for a while, but a job that needs many of them cannot be starved
// by a stream of small ones, and what a user sees in the queue is what happens. A job's memory is
// the limit that its worker keeps to, so those that run together never need more than there is.
#ifndef ATELIER_SERVER_JOBS_SCHEDULER_H_
#define ATELIER_SERVER_JOBS_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/jobs/job_queue.h"

namespace atelier::jobs {

// How busy the server is.
struct JobLoad {
  std::size_t queued = 0;
  std::size_t running = 0;  // Jobs with an attempt.
  int free_cores = 0;
  int total_cores = 0;
};

class Scheduler {
 public:
  // What a job holds, or what there is.
  struct Resources {
    int cores = 1;
    std::int64_t memory_bytes = 0;
  };

  // Cores or memory of 0 are not counted. `max_holders` may hold something at once; 0: any number.
  Scheduler(Resources total, std::size_t queue_capacity, std::size_t max_holders = 0);

  // A job to start and what it was given.
  struct Grant {
    std::string id;
    Resources resources;
  };

  JobQueue& queue() { return queue_; }
  const JobQueue& queue() const { return queue_; }

  // The next job to start, if it fits: it leaves the queue and holds what it needs until Release.
  // One that `may_start` says no to does not count as the head: those behind it go first. A
  // job that asks for more than there is at all is given all of it; where cores are not counted it
  // is given those that it asks for.
  using MayStart = std::function<bool(const QueuedJob& job)>;
  std::optional<Grant> Next(const MayStart& may_start = {});

  // True if memory is all that the job at the queue's head waits for.
  bool HeadWaitsForMemory() const;

  // `holder` holds resources without having come through Next: a job whose worker outlived the last
  // server, or a process that has not gone yet. May overdraw.
  void Hold(absl::string_view holder, Resources resources);

  // Gives back what a holder has; nothing if it has none.
  void Release(absl::string_view holder);

  const Resources& total() const { return total_; }
  // Below zero while workers of an earlier server that had more still run.
  const Resources& free() const { return free_; }
  std::size_t holders() const { return held_.size(); }

 private:
  // What a job is given when its turn comes.
  Resources NeedsOf(const QueuedJob& job) const;
  bool CoresFree(const Resources& needs) const {
    return total_.cores == 0 || needs.cores <= free_.cores;
  }

  const Resources total_;
  const std::size_t max_holders_;
  Resources free_;
  JobQueue queue_;
  absl::flat_hash_map<std::string, Resources> held_;  // By holder.
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_SCHEDULER_H_
