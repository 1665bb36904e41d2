#include "client/following/experiment_follower.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/calls/status_text.h"
#include "client/calls/ticking_stream.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(200);

}  // namespace

void ApplyUpdate(const v1::ExperimentUpdate& update, v1::Experiment* experiment) {
  v1::Experiment next = update.experiment();
  google::protobuf::RepeatedPtrField<v1::ExperimentRun> changed;
  changed.Swap(next.mutable_runs());
  if (next.configurations().empty())
    next.mutable_configurations()->Swap(experiment->mutable_configurations());
  if (next.seeds().empty()) next.mutable_seeds()->Swap(experiment->mutable_seeds());
  next.mutable_runs()->Swap(experiment->mutable_runs());
  for (v1::ExperimentRun& run : changed) {
    while (next.runs_size() <= run.index()) next.add_runs();
    next.mutable_runs(run.index())->Swap(&run);
  }
  *experiment = std::move(next);
}

absl::Status ExperimentFollower::Follow() {
  while (true) {
    const grpc::Status status = ReadStream();
    if (status.ok()) return absl::OkStatus();
    if (interrupted_) return absl::CancelledError("Interrupted.");
    if (!IsBroken(status)) return ToStatus(status, connection_->address());
    if (!lost_since_.has_value()) {
      lost_since_ = absl::Now();
      options_.lost();
    }
    const absl::Time end = absl::Now() + kRetryPause;
    while (absl::Now() < end && !Tick()) absl::SleepFor(options_.tick);
    if (interrupted_) return absl::CancelledError("Interrupted.");
    if (OutOfPatience()) {
      return absl::UnavailableError(absl::StrCat("The server at ", connection_->address(),
                                                 " did not respond within ",
                                                 absl::FormatDuration(options_.patience), "."));
    }
  }
}

grpc::Status ExperimentFollower::ReadStream() {
  v1::StreamExperimentRequest request;
  request.set_name(options_.experiment);
  TickingStream<v1::ExperimentUpdate> stream(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return connection_->stub<ExperimentService>().PrepareAsyncStreamExperiment(context, request,
                                                                                   queue);
      },
      {.wait_for_ready = lost_since_.has_value(), .interval = options_.tick, .tick = [this] {
         return Tick();
       }});
  v1::ExperimentUpdate update;
  while (stream.Read(&update)) {
    if (lost_since_.has_value()) {
      lost_since_.reset();
      options_.restored();
    }
    ApplyUpdate(update, &experiment_);
    if (options_.changed) options_.changed(experiment_, update);
    if (Tick()) stream.Cancel();
  }
  return stream.Finish();
}

bool ExperimentFollower::Tick() {
  interrupted_ = interrupted_ || options_.interrupted();
  return interrupted_ || OutOfPatience();
}

bool ExperimentFollower::OutOfPatience() const {
  return lost_since_.has_value() && absl::Now() - *lost_since_ > options_.patience;
}

}  // namespace atelier::client
