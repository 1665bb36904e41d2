#include "server/jobs/job_queue.h"

#include <tuple>
#include <utility>

namespace atelier::jobs {

bool operator<(const QueuedJob& a, const QueuedJob& b) {
  return std::tie(b.priority, a.sequence, a.id) < std::tie(a.priority, b.sequence, b.id);
}

void JobQueue::Push(QueuedJob job) {
  const auto place = jobs_.insert(std::move(job)).first;
  by_id_[place->id] = place;
}

void JobQueue::PopFront() {
  by_id_.erase(jobs_.begin()->id);
  jobs_.erase(jobs_.begin());
}

bool JobQueue::Remove(absl::string_view id) {
  const auto job = by_id_.find(id);
  if (job == by_id_.end()) return false;
  jobs_.erase(job->second);
  by_id_.erase(job);
  return true;
}

}  // namespace atelier::jobs
