#include "client/following/job_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/calls/status_text.h"
#include "client/calls/ticking_stream.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(200);
// A channel that stays connected this long counts as restored even if the job has no news.
constexpr absl::Duration kSettled = absl::Seconds(1);

}  // namespace

JobFollower::JobFollower(Connection* connection, Options options)
    : connection_(connection), options_(std::move(options)), last_number_(options_.after_number) {}

absl::Status JobFollower::Follow(Listener* listener) {
  while (true) {
    const grpc::Status status = ReadStream(listener);
    if (status.ok()) return absl::OkStatus();
    if (interrupted_) return absl::CancelledError("Interrupted.");
    if (!IsBroken(status)) return ToStatus(status, connection_->address());
    LoseConnection(listener);
    Pause(listener);
    if (interrupted_) return absl::CancelledError("Interrupted.");
    if (OutOfPatience()) {
      return absl::UnavailableError(absl::StrCat("The server at ", connection_->address(),
                                                 " did not respond within ",
                                                 absl::FormatDuration(options_.patience), "."));
    }
  }
}

grpc::Status JobFollower::ReadStream(Listener* listener) {
  v1::StreamMetricsRequest request;
  request.set_name(options_.job);
  request.set_after_number(last_number_);
  request.set_epochs_only(options_.epochs_only);
  TickingStream<v1::JobEvent> stream(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return connection_->stub<TrainingService>().PrepareAsyncStreamMetrics(context, request,
                                                                              queue);
      },
      {.wait_for_ready = lost_since_.has_value(),
       .interval = options_.tick,
       .tick = [this, listener] { return Tick(listener); }});
  v1::JobEvent event;
  while (stream.Read(&event)) {
    HandleEvent(event, listener);
    if (Tick(listener)) stream.Cancel();
  }
  return stream.Finish();
}

void JobFollower::HandleEvent(const v1::JobEvent& event, Listener* listener) {
  if (lost_since_.has_value()) {
    lost_since_.reset();
    listener->OnConnectionRestored();
  }
  if (event.has_waiting()) return listener->OnWaiting(event.waiting());
  if (event.number() <= last_number_) return;
  last_number_ = event.number();
  listener->OnEvent(event);
}

bool JobFollower::Tick(Listener* listener) {
  listener->OnTick();
  NoticeConnection(listener);
  interrupted_ = interrupted_ || options_.interrupted();
  return interrupted_ || OutOfPatience();
}

void JobFollower::LoseConnection(Listener* listener) {
  connected_since_.reset();
  if (lost_since_.has_value()) return;
  lost_since_ = absl::Now();
  listener->OnConnectionLost();
}

void JobFollower::NoticeConnection(Listener* listener) {
  if (!lost_since_.has_value() || !connection_->connected()) {
    connected_since_.reset();
    return;
  }
  if (!connected_since_.has_value()) connected_since_ = absl::Now();
  if (absl::Now() - *connected_since_ < kSettled) return;
  lost_since_.reset();
  listener->OnConnectionRestored();
}

bool JobFollower::OutOfPatience() const {
  return lost_since_.has_value() && absl::Now() - *lost_since_ > options_.patience;
}

void JobFollower::Pause(Listener* listener) {
  const absl::Time end = absl::Now() + kPause;
  while (absl::Now() < end && !Tick(listener)) {
    absl::SleepFor(std::min(options_.tick, end - absl::Now()));
  }
}

}  // namespace atelier::client
