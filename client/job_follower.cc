#include "client/job_follower.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/status_text.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_stream.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(200);
// A channel that stays connected this long counts as restored even if the job has no news.
constexpr absl::Duration kSettled = absl::Seconds(1);

}  // namespace

// One call of StreamMetrics whose every wait is cut into ticks. A completion queue of its own makes
// that possible without a second thread.
class JobFollower::Stream {
 public:
  // `tick` is called while there is nothing to read; the call is cancelled once it returns true.
  Stream(Connection* connection, const v1::StreamMetricsRequest& request, bool wait_for_ready,
         absl::Duration interval, std::function<bool()> tick)
      : interval_(interval), tick_(std::move(tick)) {
    context_.set_wait_for_ready(wait_for_ready);
    reader_ =
        connection->stub<TrainingService>().PrepareAsyncStreamMetrics(&context_, request, &queue_);
    reader_->StartCall(this);
    started_ = Await();
  }

  ~Stream() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  bool Read(v1::JobEvent* event) {
    if (!started_) return false;
    reader_->Read(event, this);
    return Await();
  }

  grpc::Status Finish() {
    grpc::Status status;
    reader_->Finish(&status, this);
    Await();
    return status;
  }

  void Cancel() { context_.TryCancel(); }

 private:
  // Waits for the operation under way; whether it succeeded.
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + interval_)) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (tick_()) Cancel();
    }
    return ok;
  }

  const absl::Duration interval_;
  const std::function<bool()> tick_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderInterface<v1::JobEvent>> reader_;
  bool started_ = false;
};

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
                                                 " did not come back within ",
                                                 absl::FormatDuration(options_.patience), "."));
    }
  }
}

grpc::Status JobFollower::ReadStream(Listener* listener) {
  v1::StreamMetricsRequest request;
  request.set_name(options_.job);
  request.set_after_number(last_number_);
  request.set_epochs_only(options_.epochs_only);
  Stream stream(connection_, request, lost_since_.has_value(), options_.tick,
                [this, listener] { return Tick(listener); });
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
