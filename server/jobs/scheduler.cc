#include "server/jobs/scheduler.h"

#include <algorithm>

namespace atelier::jobs {

Scheduler::Scheduler(Resources total, std::size_t queue_capacity, std::size_t max_holders)
    : total_(total), max_holders_(max_holders), free_(total), queue_(queue_capacity) {}

Scheduler::Resources Scheduler::HeadNeeds() const {
  const int asked = queue_.front().cores;
  return {.cores = total_.cores == 0 ? asked : std::min(asked, total_.cores),
          .memory_bytes = std::min(queue_.front().memory_bytes, total_.memory_bytes)};
}

std::optional<Scheduler::Grant> Scheduler::Next() {
  if (queue_.empty() || (max_holders_ > 0 && held_.size() >= max_holders_)) return std::nullopt;
  const Resources needs = HeadNeeds();
  if (!CoresFree(needs) || needs.memory_bytes > free_.memory_bytes) return std::nullopt;
  Grant grant{queue_.front().id, needs};
  queue_.PopFront();
  Hold(grant.id, grant.resources);
  return grant;
}

bool Scheduler::HeadWaitsForMemory() const {
  if (queue_.empty()) return false;
  const Resources needs = HeadNeeds();
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
