#include "server/worker/outbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::worker {
namespace {

bool IsSample(const v1::WorkerEvent& event) { return event.has_step() || event.has_resources(); }

}  // namespace

void Outbox::Add(v1::WorkerEvent event) {
  if (ended_) return;
  ended_ = EndsAttempt(event);
  if (IsSample(event) && ++samples_ > options_.samples) {
    const auto unnumbered = events_.begin() + static_cast<std::ptrdiff_t>(numbered_);
    events_.erase(std::find_if(unnumbered, events_.end(), IsSample));
    --samples_;
  }
  events_.push_back(std::move(event));
}

bool Outbox::HasUnsent() const { return written_ < std::min(events_.size(), options_.window); }

void Outbox::FillReport(v1::ReportEvents* report) {
  for (; HasUnsent(); ++written_) {
    v1::WorkerEvent& event = events_[written_];
    if (written_ == numbered_) {
      event.set_number(acknowledged_ + static_cast<std::int64_t>(++numbered_));
      if (IsSample(event)) --samples_;
    }
    *report->add_events() = event;
  }
}

void Outbox::Acknowledge(std::int64_t number) {
  while (acknowledged_ < number && written_ > 0) {
    events_.pop_front();
    --written_;
    --numbered_;
    ++acknowledged_;
  }
}

absl::Status Outbox::Reconnect(std::int64_t acknowledged) {
  const std::int64_t sent = acknowledged_ + static_cast<std::int64_t>(numbered_);
  if (acknowledged < acknowledged_ || acknowledged > sent) {
    return absl::DataLossError(absl::StrCat("the server has this attempt's events up to number ",
                                            acknowledged, ", while this process keeps those after ",
                                            acknowledged_, " up to ", sent));
  }
  written_ = numbered_;
  Acknowledge(acknowledged);
  written_ = 0;
  return absl::OkStatus();
}

}  // namespace atelier::worker
