#include "server/jobs/job_queue.h"

#include <algorithm>
#include <utility>

namespace atelier::jobs {
namespace {

bool LeavesBefore(const QueuedJob& a, const QueuedJob& b) {
  if (a.priority != b.priority) return a.priority > b.priority;
  return a.sequence < b.sequence;
}

}  // namespace

void JobQueue::Push(QueuedJob job) {
  const auto place = std::upper_bound(jobs_.begin(), jobs_.end(), job, LeavesBefore);
  jobs_.insert(place, std::move(job));
}

void JobQueue::PopFront() { jobs_.erase(jobs_.begin()); }

bool JobQueue::Remove(absl::string_view id) {
  return std::erase_if(jobs_, [id](const QueuedJob& job) { return job.id == id; }) > 0;
}

}  // namespace atelier::jobs
