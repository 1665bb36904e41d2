#include "server/rpc/event_source.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/jobs/timestamps.h"

namespace atelier::rpc {

absl::StatusOr<Batch<v1::JobEvent>> EventSource::Produce() {
  auto page = log_->Read(job_, position_, kPage, epochs_only_);
  if (!page.ok()) return page.status();
  position_ = page->position;
  if (!page->events.empty()) sent_ = page->events.back()->number();
  if (page->note_number > note_) {
    // Nobody has to be told that nothing is waited for who was not told otherwise.
    if (note_ > 0 || !page->note.empty()) page->events.push_back(Waits(page->note));
    note_ = page->note_number;
  }
  return Batch<v1::JobEvent>{std::move(page->events), page->ended};
}

bool EventSource::Await(std::function<void()> wake) {
  subscription_ = log_->Subscribe(job_, position_, std::move(wake), note_);
  return subscription_.has_value();
}

bool EventSource::TakeBack() {
  return subscription_.has_value() && log_->Unsubscribe(job_, *subscription_);
}

std::shared_ptr<const v1::JobEvent> EventSource::StillThere() {
  const auto job = get_job_(job_);
  if (!job.ok()) return nullptr;
  auto event = Waits(job->waiting_reason());
  if (job->has_queue_position()) {
    event->mutable_waiting()->set_queue_position(job->queue_position());
  }
  return event;
}

std::shared_ptr<v1::JobEvent> EventSource::Waits(const std::string& reason) const {
  auto event = std::make_shared<v1::JobEvent>();
  event->set_number(sent_);
  *event->mutable_time() = jobs::ToTimestamp(absl::Now());
  event->mutable_waiting()->set_reason(reason);
  return event;
}

}  // namespace atelier::rpc
