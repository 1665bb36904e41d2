#include "server/jobs/event_log.h"

#include <algorithm>
#include <utility>

#include "server/jobs/job_state.h"

namespace atelier::jobs {

bool IsWithdrawable(const v1::JobEvent& event) {
  return event.has_step() || event.has_epoch() || event.has_checkpoint() || event.has_early_stop();
}

bool IsSample(const v1::JobEvent& event) { return event.has_step() || event.has_resources(); }

EventLog::EventLog(Options options, JobStore* store) : options_(options), store_(store) {}

absl::StatusOr<EventPage> EventLog::Read(absl::string_view job, std::int64_t after, int limit,
                                         bool epochs_only) {
  limit = limit <= 0 ? options_.page_events : std::min(limit, options_.page_events);
  after = std::max<std::int64_t>(after, 0);
  std::optional<std::int64_t> last;
  {
    MutexLock lock(&mutex_);
    const auto tail = tails_.find(job);
    if (tail != tails_.end()) {
      if (after >= tail->second.floor) return ReadTail(tail->second, after, limit, epochs_only);
      last = tail->second.last;
    }
  }
  return ReadStore(job, after, limit, epochs_only, last);
}

EventPage EventLog::ReadTail(const Tail& tail, std::int64_t after, int limit,
                             bool epochs_only) const {
  EventPage page;
  page.note = tail.note;
  page.note_number = tail.note_number;
  auto event = std::upper_bound(
      tail.events.begin(), tail.events.end(), after,
      [](std::int64_t number, const auto& entry) { return number < entry->number(); });
  for (; event != tail.events.end(); ++event) {
    if (epochs_only && IsSample(**event)) continue;
    if (static_cast<int>(page.events.size()) == limit) break;
    page.events.push_back(*event);
  }
  // At the end of what there is, samples left out count as read.
  page.position =
      event == tail.events.end() ? std::max(after, tail.last) : page.events.back()->number();
  return page;
}

// `last` is the newest number known before the store is read, if the job has not ended: the page
// then holds at least everything up to it, so an incomplete page moves the reader that far.
absl::StatusOr<EventPage> EventLog::ReadStore(absl::string_view job, std::int64_t after, int limit,
                                              bool epochs_only, std::optional<std::int64_t> last) {
  bool ended = false;
  if (!last.has_value()) {
    auto record = store_->Load(job);
    if (!record.ok()) return record.status();
    last = record->last_event;
    ended = IsTerminal(record->job.state());
  }
  auto events = store_->ReadEvents(job, after, limit, epochs_only);
  if (!events.ok()) return events.status();
  EventPage page;
  const bool complete = static_cast<int>(events->size()) < limit;
  page.position = complete ? std::max(after, *last) : after;
  for (v1::JobEvent& event : *events) {
    page.position = std::max(page.position, event.number());
    page.events.push_back(std::make_shared<const v1::JobEvent>(std::move(event)));
  }
  page.ended = ended && page.position >= *last;
  return page;
}

std::optional<std::uint64_t> EventLog::Subscribe(absl::string_view job, std::int64_t after,
                                                 WakeFunction wake, std::int64_t note) {
  MutexLock lock(&mutex_);
  const auto tail = tails_.find(job);
  if (tail == tails_.end() || tail->second.last > after || tail->second.note_number > note) {
    return std::nullopt;
  }
  const std::uint64_t id = next_subscriber_++;
  tail->second.subscribers[id] = std::move(wake);
  return id;
}

bool EventLog::Unsubscribe(absl::string_view job, std::uint64_t id) {
  MutexLock lock(&mutex_);
  const auto tail = tails_.find(job);
  return tail != tails_.end() && tail->second.subscribers.erase(id) > 0;
}

void EventLog::Open(absl::string_view job, std::int64_t last) {
  MutexLock lock(&mutex_);
  Tail& tail = tails_[job];
  tail.last = last;
  tail.floor = last;
}

WakeList EventLog::Append(absl::string_view job, std::optional<std::int64_t> withdraw_from,
                          const std::vector<v1::JobEvent>& events) {
  MutexLock lock(&mutex_);
  const auto found = tails_.find(job);
  if (found == tails_.end()) return {};
  Tail& tail = found->second;
  if (withdraw_from.has_value()) {
    std::erase_if(tail.events, [&](const auto& event) {
      return event->number() >= *withdraw_from && IsWithdrawable(*event);
    });
  }
  for (const v1::JobEvent& event : events) {
    tail.events.push_back(std::make_shared<const v1::JobEvent>(event));
    tail.last = event.number();
  }
  while (tail.events.size() > options_.tail_events) {
    tail.floor = tail.events.front()->number();
    tail.events.pop_front();
  }
  return events.empty() ? WakeList() : TakeSubscribers(&tail);
}

WakeList EventLog::SetNote(absl::string_view job, const std::string& note) {
  MutexLock lock(&mutex_);
  const auto found = tails_.find(job);
  if (found == tails_.end() || found->second.note == note) return {};
  found->second.note = note;
  ++found->second.note_number;
  return TakeSubscribers(&found->second);
}

WakeList EventLog::Close(absl::string_view job) {
  MutexLock lock(&mutex_);
  const auto tail = tails_.find(job);
  if (tail == tails_.end()) return {};
  WakeList wakes = TakeSubscribers(&tail->second);
  tails_.erase(tail);
  return wakes;
}

WakeList EventLog::TakeSubscribers(Tail* tail) {
  WakeList wakes;
  wakes.reserve(tail->subscribers.size());
  for (auto& [id, wake] : tail->subscribers) wakes.push_back(std::move(wake));
  tail->subscribers.clear();
  return wakes;
}

}  // namespace atelier::jobs
