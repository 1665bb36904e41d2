#include "server/jobs/queue_view.h"

#include <algorithm>
#include <utility>

namespace atelier::jobs {

void QueueView::Add(const JobRecord& record, const std::string& waiting_reason) {
  const Key key = KeyOf(record);
  MutexLock lock(&mutex_);
  const auto place = std::lower_bound(waiting_.begin(), waiting_.end(), key);
  if (place == waiting_.end() || *place != key) waiting_.insert(place, key);
  reasons_.erase(record.sequence);
  if (!waiting_reason.empty()) reasons_[record.sequence] = waiting_reason;
}

void QueueView::SetReason(const JobRecord& record, const std::string& waiting_reason) {
  MutexLock lock(&mutex_);
  reasons_.erase(record.sequence);
  if (!waiting_reason.empty()) reasons_[record.sequence] = waiting_reason;
}

void QueueView::Remove(const JobRecord& record) {
  const Key key = KeyOf(record);
  MutexLock lock(&mutex_);
  reasons_.erase(record.sequence);
  const auto place = std::lower_bound(waiting_.begin(), waiting_.end(), key);
  if (place != waiting_.end() && *place == key) waiting_.erase(place);
}

void QueueView::SetHeadReason(std::string reason) {
  MutexLock lock(&mutex_);
  head_reason_ = std::move(reason);
}

std::optional<QueueView::Place> QueueView::Find(const JobRecord& record) const {
  const Key key = KeyOf(record);
  MutexLock lock(&mutex_);
  const auto place = std::lower_bound(waiting_.begin(), waiting_.end(), key);
  if (place == waiting_.end() || *place != key) return std::nullopt;
  Place found{.number = static_cast<int>(place - waiting_.begin()), .waiting_reason = {}};
  if (found.number == 0 && !head_reason_.empty()) {
    found.waiting_reason = head_reason_;
  } else if (const auto reason = reasons_.find(record.sequence); reason != reasons_.end()) {
    found.waiting_reason = reason->second;
  }
  return found;
}

void QueueView::SetPending(const JobRecord& record, const std::string& why) {
  MutexLock lock(&mutex_);
  if (why.empty()) {
    pending_.erase(record.sequence);
  } else {
    pending_[record.sequence] = why;
  }
}

std::string QueueView::FindPending(const JobRecord& record) const {
  MutexLock lock(&mutex_);
  const auto why = pending_.find(record.sequence);
  return why == pending_.end() ? "" : why->second;
}

}  // namespace atelier::jobs
