// Decides which job starts next, by free cores. Not thread-safe; the controller's lock guards it.
//
// Order is strict: while the job at the queue's head does not fit, nothing behind it starts, even
// if it would fit. Cores may idle for a while, but a job that needs many of them cannot be starved
// by a stream of small ones, and what a user sees in the queue is what happens.
#ifndef ATELIER_SERVER_JOBS_SCHEDULER_H_
#define ATELIER_SERVER_JOBS_SCHEDULER_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/jobs/job_queue.h"

namespace atelier::jobs {

class Scheduler {
 public:
  // `total_cores` is at least 1.
  Scheduler(int total_cores, std::size_t queue_capacity);

  // A job to start and the cores it was given.
  struct Grant {
    std::string id;
    int cores = 1;
  };

  JobQueue& queue() { return queue_; }
  const JobQueue& queue() const { return queue_; }

  // The next job to start, if it fits: it leaves the queue and holds its cores until Release. A job
  // that asks for more cores than there are at all is given all of them.
  std::optional<Grant> Next();

  // `holder` holds cores without having come through Next: a job whose worker outlived the last
  // server, or a process that has not gone yet. May overdraw.
  void Hold(absl::string_view holder, int cores);

  // Gives back what a holder has; nothing if it has none.
  void Release(absl::string_view holder);

  int total_cores() const { return total_cores_; }
  // Below zero while workers of an earlier server with more cores still run.
  int free_cores() const { return free_cores_; }
  std::size_t holders() const { return held_.size(); }

 private:
  const int total_cores_;
  int free_cores_;
  JobQueue queue_;
  absl::flat_hash_map<std::string, int> held_;  // Cores by holder.
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_SCHEDULER_H_
