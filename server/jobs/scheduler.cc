#include "server/jobs/scheduler.h"

#include <algorithm>

namespace atelier::jobs {

Scheduler::Scheduler(Resources total, std::size_t queue_capacity, std::size_t max_holders)
    : total_(total), max_holders_(max_holders), free_(total), queue_(queue_capacity) {}

Scheduler::Resources Scheduler::NeedsOf(const QueuedJob& job) const {
  return {.cores = total_.cores == 0 ? job.cores : std::min(job.cores, total_.cores),
          .memory_bytes = std::min(job.memory_bytes, total_.memory_bytes)};
}

std::optional<Scheduler::Grant> Scheduler::Next(const MayStart& may_start) {
  if (max_holders_ > 0 && held_.size() >= max_holders_) return std::nullopt;
  const auto& jobs = queue_.jobs();
  const auto head = may_start ? std::find_if(jobs.begin(), jobs.end(), may_start) : jobs.begin();
  if (head == jobs.end()) return std::nullopt;
  const Resources needs = NeedsOf(*head);
  if (!CoresFree(needs) || needs.memory_bytes > free_.memory_bytes) return std::nullopt;
  Grant grant{head->id, needs};
  queue_.Remove(grant.id);
  Hold(grant.id, grant.resources);
  return grant;
}

bool Scheduler::HeadWaitsForMemory() const {
  if (queue_.empty()) return false;
  const Resources needs = NeedsOf(queue_.front());
  return CoresFree(needs) && needs.memory_bytes > free_.memory_bytes;
}

void Scheduler::Hold(absl::string_view holder, Resources resources) {
  Release(holder);
  held_[holder] = resources;
  if (total_.cores > 0) free_.cores -= resources.cores;
  free_.memory_bytes -= std::min(resources.memory_bytes, total_.memory_bytes);
}

void Scheduler::Release(absl::string_view holder) {
  const auto held = held_.find(holder);
  if (held == held_.end()) return;
  if (total_.cores > 0) free_.cores += held->second.cores;
  free_.memory_bytes += std::min(held->second.memory_bytes, total_.memory_bytes);
  held_.erase(held);
}

}  // namespace atelier::jobs
