#include "server/jobs/scheduler.h"

#include <algorithm>

namespace atelier::jobs {

Scheduler::Scheduler(int total_cores, std::size_t queue_capacity)
    : total_cores_(total_cores), free_cores_(total_cores), queue_(queue_capacity) {}

std::optional<Scheduler::Grant> Scheduler::Next() {
  if (queue_.empty()) return std::nullopt;
  const int cores = std::min(queue_.front().cores, total_cores_);
  if (cores > free_cores_) return std::nullopt;
  Grant grant{queue_.front().id, cores};
  queue_.PopFront();
  Hold(grant.id, grant.cores);
  return grant;
}

void Scheduler::Hold(absl::string_view holder, int cores) {
  Release(holder);
  held_[holder] = cores;
  free_cores_ -= cores;
}

void Scheduler::Release(absl::string_view holder) {
  const auto held = held_.find(holder);
  if (held == held_.end()) return;
  free_cores_ += held->second;
  held_.erase(held);
}

}  // namespace atelier::jobs
