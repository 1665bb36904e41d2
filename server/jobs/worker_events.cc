#include "server/jobs/worker_events.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"

namespace atelier::jobs {
namespace {

using worker::v1::WorkerEvent;

constexpr int kScanPage = 1000;  // Events read at once while looking for the first beyond.

// The attempt goes on from `checkpoint`: from here on its progress counts.
void Position(const worker::v1::Resumed& checkpoint, std::optional<std::int64_t> first_beyond,
              JobChange* change) {
  JobRecord& record = change->record();
  record.positioned = true;
  record.checkpointed = checkpoint.global_step() > 0;
  record.job.mutable_attempts(record.attempt() - 1)->set_resumed_epoch(checkpoint.epoch());
  if (first_beyond.has_value()) {
    change->Rewind(*first_beyond, checkpoint.epoch(), checkpoint.step());
  }
}

bool ShowsProgress(const WorkerEvent& event) {
  return event.has_step() || event.has_epoch() || event.has_checkpoint() || event.has_early_stop();
}

absl::Status ApplyPhase(worker::v1::Phase phase, JobChange* change) {
  switch (phase) {
    case worker::v1::PHASE_PREPARING:
      return Advance(v1::JOB_STATE_PREPARING, change);
    case worker::v1::PHASE_TRAINING:
      return Advance(v1::JOB_STATE_TRAINING, change);
    case worker::v1::PHASE_EVALUATING:
      return Advance(v1::JOB_STATE_EVALUATING, change);
    case worker::v1::PHASE_IMPORTING:
      return Advance(v1::JOB_STATE_IMPORTING, change);
    case worker::v1::PHASE_CHECKING:
      return Advance(v1::JOB_STATE_CHECKING, change);
    case worker::v1::PHASE_STORING:
      return Advance(v1::JOB_STATE_STORING, change);
    default:
      return ProtocolViolation(absl::StrCat("an unknown phase, ", static_cast<int>(phase)));
  }
}

}  // namespace

absl::Status ProtocolViolation(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, "PROTOCOL_VIOLATION",
               absl::StrCat("The worker sent ", what, "."));
}

bool LiesBeyond(const v1::JobEvent& event, const worker::v1::Resumed& checkpoint) {
  switch (event.event_case()) {
    case v1::JobEvent::kStep:
      // A step event's epoch is the one being trained, one more than those finished.
      return event.step().epoch() > checkpoint.epoch() + 1 ||
             (event.step().epoch() == checkpoint.epoch() + 1 &&
              event.step().step() > checkpoint.step());
    case v1::JobEvent::kEpoch:
      return event.epoch().epoch() > checkpoint.epoch();
    case v1::JobEvent::kCheckpoint:
      return event.checkpoint().global_step() > checkpoint.global_step();
    case v1::JobEvent::kEarlyStop:
      return event.early_stop().epoch() >= checkpoint.epoch();
    default:
      return false;
  }
}

absl::StatusOr<std::optional<std::int64_t>> FindFirstBeyond(JobStore* store, absl::string_view job,
                                                            const worker::v1::Resumed& checkpoint) {
  std::int64_t after = 0;
  while (true) {
    auto events = store->ReadEvents(job, after, kScanPage, /*epochs_only=*/false);
    if (!events.ok()) return events.status();
    for (const v1::JobEvent& event : *events) {
      if (LiesBeyond(event, checkpoint)) return event.number();
    }
    if (static_cast<int>(events->size()) < kScanPage) return std::nullopt;
    after = events->back().number();
  }
}

std::optional<worker::v1::Resumed> StartingPoint(absl::Span<const WorkerEvent> events) {
  for (const WorkerEvent& event : events) {
    if (event.has_resumed()) return event.resumed();
    if (ShowsProgress(event)) return worker::v1::Resumed();
  }
  return std::nullopt;
}

absl::Status ApplyWorkerEvent(const WorkerEvent& event, std::optional<std::int64_t> first_beyond,
                              JobChange* change) {
  JobRecord& record = change->record();
  v1::JobEvent stored;
  if (event.has_time()) *stored.mutable_time() = event.time();

  switch (event.event_case()) {
    case WorkerEvent::kPhase:
      return ApplyPhase(event.phase(), change);
    case WorkerEvent::kResources:
      *stored.mutable_resources() = event.resources();
      change->Append(std::move(stored));
      return absl::OkStatus();
    case WorkerEvent::kResumed:
      if (record.positioned) return ProtocolViolation("a starting point after progress");
      Position(event.resumed(), first_beyond, change);
      return absl::OkStatus();
    case WorkerEvent::kStep:
    case WorkerEvent::kEpoch:
    case WorkerEvent::kCheckpoint:
    case WorkerEvent::kEarlyStop:
      break;
    default:
      return ProtocolViolation(
          absl::StrCat("an event of an unknown kind as number ", event.number()));
  }
  if (!record.positioned) Position({}, first_beyond, change);
  if (event.has_step()) {
    *record.job.mutable_progress() = event.step();
    *stored.mutable_step() = event.step();
  } else if (event.has_epoch()) {
    if (event.epoch().epoch() <= record.recorded_epoch) return absl::OkStatus();
    record.recorded_epoch = event.epoch().epoch();
    *stored.mutable_epoch() = event.epoch();
  } else if (event.has_checkpoint()) {
    record.checkpointed = true;
    *stored.mutable_checkpoint() = event.checkpoint();
  } else {
    *stored.mutable_early_stop() = event.early_stop();
  }
  change->Append(std::move(stored));
  return absl::OkStatus();
}

}  // namespace atelier::jobs
