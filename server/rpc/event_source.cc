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
  return Batch<v1::JobEvent>{std::move(page->events), page->ended};
}

bool EventSource::Await(std::function<void()> wake) {
  subscription_ = log_->Subscribe(job_, position_, std::move(wake));
  return subscription_.has_value();
}

bool EventSource::TakeBack() {
  return subscription_.has_value() && log_->Unsubscribe(job_, *subscription_);
}

std::shared_ptr<const v1::JobEvent> EventSource::StillThere() {
  const auto job = get_job_(job_);
  if (!job.ok()) return nullptr;
  auto event = std::make_shared<v1::JobEvent>();
  event->set_number(sent_);
  *event->mutable_time() = jobs::ToTimestamp(absl::Now());
  v1::Waiting* const waiting = event->mutable_waiting();
  if (job->has_queue_position()) waiting->set_queue_position(job->queue_position());
  waiting->set_reason(job->waiting_reason());
  return event;
}

}  // namespace atelier::rpc
