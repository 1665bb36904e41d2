#include "server/rpc/event_source.h"

#include <utility>

namespace atelier::rpc {

absl::StatusOr<Batch<v1::JobEvent>> EventSource::Produce() {
  auto page = log_->Read(job_, position_, kPage, epochs_only_);
  if (!page.ok()) return page.status();
  position_ = page->position;
  return Batch<v1::JobEvent>{std::move(page->events), page->ended};
}

bool EventSource::Await(std::function<void()> wake) {
  subscription_ = log_->Subscribe(job_, position_, std::move(wake));
  return subscription_.has_value();
}

bool EventSource::TakeBack() {
  return subscription_.has_value() && log_->Unsubscribe(job_, *subscription_);
}

}  // namespace atelier::rpc
