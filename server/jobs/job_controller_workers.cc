// JobController: workers attach and report.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"
#include "server/jobs/worker_events.h"

namespace atelier::jobs {
namespace {

using worker::v1::WorkerEvent;

// Equal in a time that does not depend on where they differ.
bool SameToken(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

// A worker that was told to stop and has begun to evaluate is obeying.
bool Obeys(const WorkerEvent& event) {
  return event.has_phase() && (event.phase() == worker::v1::PHASE_EVALUATING ||
                               event.phase() == worker::v1::PHASE_STORING);
}

// The archive is not what the worker said, which trying again does not change.
bool IsWorkersFault(const absl::Status& published) {
  return absl::IsNotFound(published) || absl::IsDataLoss(published) ||
         absl::IsInvalidArgument(published);
}

}  // namespace

absl::StatusOr<Attachment> JobController::Attach(const worker::v1::Hello& hello,
                                                 std::shared_ptr<WorkerLink> link) {
  Effects effects;
  MutexLock lock(&mutex_);
  auto live = FindWorker(hello);
  if (!live.ok()) return live.status();
  Attachment attachment;
  auto assignment = ProbedAssignment(**live);
  if (absl::IsNotFound(assignment.status())) {
    const absl::Status failed = Fail(*live, "BAD_DATA", assignment.status().message(), &effects);
    return failed.ok() ? Error(absl::StatusCode::kAborted, "ATTEMPT_NOT_WANTED",
                               assignment.status().message())
                       : failed;
  }
  if (!assignment.ok()) return assignment.status();
  attachment.assignment = *std::move(assignment);
  attachment.stop = (*live)->record.stop_requested;
  attachment.suspend = shutting_down_;
  if ((*live)->link != nullptr && (*live)->link != link) {
    effects.Add([old = (*live)->link] {
      old->Close(absl::UnavailableError("A newer connection of the worker took this one's place."));
    });
  }
  const absl::Duration now = with_.clock->Elapsed();
  (*live)->link = std::move(link);
  // Its engine may be slower to say so.
  if (watch_.pending(hello.job())) ShowWait(**live, "", &effects);
  watch_.Hear(hello.job(), now);
  if (attachment.stop) watch_.TellToStop(hello.job(), now);
  if (kick_) effects.Add(kick_);
  return attachment;
}

absl::StatusOr<JobController::LiveJob*> JobController::FindWorker(const worker::v1::Hello& hello) {
  auto live = FindAttempt(hello.job(), hello.attempt());
  if (!live.ok() && watch_.launching(hello.job())) {
    return absl::UnavailableError("The attempt is being stored; dial again.");
  }
  if (!live.ok() || SameToken(hello.token(), (*live)->record.token)) return live;
  return Error(absl::StatusCode::kUnauthenticated, "WRONG_TOKEN",
               absl::StrCat("The token is not that of attempt ", hello.attempt(), " of job ",
                            hello.job(), "."));
}

absl::StatusOr<worker::v1::Assignment> JobController::Join(const worker::v1::Hello& hello) {
  MutexLock lock(&mutex_);
  const auto live = FindWorker(hello);
  if (!live.ok()) return live.status();
  return ProbedAssignment(**live);
}

absl::StatusOr<worker::v1::Assignment> JobController::ProbedAssignment(const LiveJob& live) {
  auto assignment = MakeAssignment(live);
  if (!assignment.ok()) return assignment.status();
  const auto probe = with_.artifacts->Probe(live.record.id, live.record.attempt());
  if (!probe.ok()) return absl::UnavailableError(probe.status().message());
  assignment->set_probe(*probe);
  return assignment;
}

absl::StatusOr<worker::v1::Assignment> JobController::Assigned(const worker::v1::Hello& hello) {
  MutexLock lock(&mutex_);
  const auto live = FindWorker(hello);
  if (!live.ok()) return live.status();
  return MakeAssignment(**live);
}

absl::StatusOr<worker::v1::Assignment> JobController::MakeAssignment(const LiveJob& live) {
  const JobRecord& record = live.record;
  const JobKind kind = KindOf(record.job);
  absl::StatusOr<worker::v1::Assignment> assignment =
      kind == JobKind::kTraining ? MakeTrainingAssignment(live)
      : kind == JobKind::kImport ? MakeImportAssignment(live)
                                 : MakeScoringAssignment(live);
  if (!assignment.ok()) return assignment.status();
  if (const std::string dataset = NeededDataset(record.job); !dataset.empty()) {
    const auto place = with_.datasets->Find(dataset);
    if (absl::IsNotFound(place.status())) return DatasetGone(record);
    if (!place.ok()) return place.status();
    assignment->set_dataset_dir(place->folder);
    assignment->set_dataset_file(place->file);
    assignment->set_dataset_cache_dir(with_.artifacts->DatasetCacheDir());
  }
  assignment->set_attempt_dir(with_.artifacts->AttemptDir(record.id, record.attempt()));
  for (int attempt = record.attempt() - 1; attempt >= 1; --attempt) {
    assignment->add_earlier_attempt_dirs(with_.artifacts->AttemptDir(record.id, attempt));
  }
  assignment->set_acknowledged(record.acknowledged);
  *assignment->mutable_lease() = ToDuration(options_.lease);
  assignment->set_job_name(record.job.name());
  return assignment;
}

absl::StatusOr<worker::v1::Assignment> JobController::MakeTrainingAssignment(const LiveJob& live) {
  const JobRecord& record = live.record;
  worker::v1::Assignment assignment;
  *assignment.mutable_spec() = record.job.spec();
  // What it was given, which is less than it asked for on a server that has less.
  const int cores = record.job.attempts(record.attempt() - 1).cores() / NodesOf(record.job.spec());
  assignment.mutable_spec()->set_cores(std::max(1, cores));
  if (!record.job.spec().continues().empty()) {
    assignment.set_continued_dir(with_.artifacts->AttemptDir(record.id, 0));
  }
  if (record.job.has_start()) *assignment.mutable_start() = record.job.start();
  if (const auto from = ParseModelName(record.job.spec().start_from()); from.ok()) {
    std::int64_t version = 0;
    if (!absl::SimpleAtoi(from->version, &version)) {
      return absl::NotFoundError("The version to start from has no number.");
    }
    assignment.set_start_archive(with_.artifacts->ArchivePath(from->model, version));
  }
  assignment.set_recorded_epoch(record.recorded_epoch);
  return assignment;
}

absl::StatusOr<std::int64_t> JobController::Report(absl::string_view job, int attempt,
                                                   absl::Span<const WorkerEvent> events) {
  Unfinished left;
  auto acknowledged = TakeIn(job, attempt, events, nullptr, &left);
  if (acknowledged.ok() && left.start.has_value()) {
    // Without the lock: a long history takes long. Until the attempt has shown where it starts,
    // nothing is stored that it could withdraw, so what is found stays true.
    const auto first_beyond = FindFirstBeyond(with_.jobs, job, *left.start);
    if (!first_beyond.ok()) return first_beyond.status();
    left = {};
    acknowledged = TakeIn(job, attempt, events, &*first_beyond, &left);
  }
  if (!acknowledged.ok() || left.outcome == nullptr) return acknowledged;
  return StoreOutcome(job, attempt, left);
}

absl::StatusOr<std::int64_t> JobController::TakeIn(absl::string_view job, int attempt,
                                                   absl::Span<const WorkerEvent> events,
                                                   const std::optional<std::int64_t>* first_beyond,
                                                   Unfinished* left) {
  Effects effects;
  MutexLock lock(&mutex_);
  auto live = FindAttempt(job, attempt);
  if (!live.ok()) return live.status();
  watch_.Hear(job, with_.clock->Elapsed());
  if (first_beyond == nullptr && !(*live)->record.positioned) {
    left->start = StartingPoint(events);
    if (left->start.has_value()) return (*live)->record.acknowledged;
  }
  const std::optional<std::int64_t> withdrawn =
      first_beyond == nullptr ? std::nullopt : *first_beyond;
  if (auto status = StoreEvents(*live, events, withdrawn, left, &effects); !status.ok()) {
    return status;
  }
  if (left->outcome != nullptr) watch_.BeginStoring(job);
  return (*live)->record.acknowledged;
}

absl::Status JobController::StoreEvents(LiveJob* live, absl::Span<const WorkerEvent> events,
                                        std::optional<std::int64_t> first_beyond, Unfinished* left,
                                        Effects* effects) {
  JobChange change = Change(*live);
  absl::Status status;
  bool changed = false;
  bool obeys = false;
  bool checkpointed = false;
  for (const WorkerEvent& event : events) {
    const std::int64_t expected = change.record().acknowledged + 1;
    if (event.number() < expected) continue;  // Sent again after a reconnect.
    if (event.number() > expected) {
      status = ProtocolViolation(
          absl::StrCat("event ", event.number(), " where ", expected, " was to follow"));
      break;
    }
    changed = true;
    if (event.has_outcome() || event.has_import_outcome()) {
      // A second delivery while the first is being stored: its turn comes with the next connection.
      if (watch_.storing(live->record.id)) {
        return absl::UnavailableError("The outcome is being stored.");
      }
      status = PrepareOutcome(event, &change, left);
      break;
    }
    status = ApplyEvent(event, first_beyond, &change);
    if (!status.ok()) break;
    change.record().acknowledged = event.number();
    obeys = obeys || Obeys(event);
    checkpointed = checkpointed || event.has_checkpoint();
    if (EndsAttempt(event)) break;
  }
  // A step the state machine does not have is the worker's doing, too.
  if (absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status)) {
    const auto failed = Fail(live, "INTERNAL", status.message(), effects);
    return failed.ok() ? ProtocolViolation(status.message()) : failed;
  }
  if (!status.ok() || !changed) return status;
  const bool worked = change.record().positioned || !change.record().attempt_active();
  if (auto applied = Apply(std::move(change), live, effects); !applied.ok()) return applied;
  if (worked) watch_.StartWorked();
  if (checkpointed && !std::exchange(live->trimmed, true)) {
    to_trim_.emplace_back(live->record.id, live->record.attempt());
    if (kick_) effects->Add(kick_);
  }
  if (obeys) watch_.Obey(live->record.id);
  return absl::OkStatus();
}

absl::Status JobController::ApplyEvent(const WorkerEvent& event,
                                       std::optional<std::int64_t> first_beyond,
                                       JobChange* change) {
  switch (event.event_case()) {
    case WorkerEvent::kFailure:
      return FailAttempt(event.failure().reason().empty() ? "INTERNAL" : event.failure().reason(),
                         event.failure().message(), change);
    case WorkerEvent::kSuspended:
      if (shutting_down_) {
        return SuspendAttempt("SERVER_SHUTDOWN", "The worker ended because the server stops",
                              change);
      }
      return SuspendAttempt("SUSPENDED", "The worker was asked to end (SIGTERM)", change);
    case WorkerEvent::kStoppedEmpty:
      return StopEmptyAttempt(change);
    case WorkerEvent::kScoringOutcome: {
      const JobKind kind = KindOf(change->record().job);
      if (kind == JobKind::kEvaluation
              ? event.scoring_outcome().has_evaluation()
              : kind == JobKind::kCheck && event.scoring_outcome().has_check()) {
        return FinishScoring(event.scoring_outcome(), change);
      }
      return ProtocolViolation("the outcome of another kind of job");
    }
    default:
      return ApplyWorkerEvent(event, first_beyond, change);
  }
}

// The number is reserved and on record before anything is published under it, so that a
// repeated delivery after a crash publishes it in the same place.
absl::Status JobController::PrepareOutcome(const WorkerEvent& event, JobChange* change,
                                           Unfinished* left) {
  JobRecord& record = change->record();
  const JobKind kind = KindOf(record.job);
  const bool import = kind == JobKind::kImport;
  if (event.has_import_outcome() != import || event.has_outcome() != (kind == JobKind::kTraining)) {
    return ProtocolViolation("the outcome of another kind of job");
  }
  if (auto status = Advance(v1::JOB_STATE_STORING, change); !status.ok()) return status;
  const std::string& name = import ? record.job.import().dataset() : record.job.spec().model_name();
  if (record.reserved_version == 0) {
    auto version = import ? with_.pushed_datasets->ReserveDatasetVersion(name)
                          : with_.models->ReserveVersion(name);
    if (!version.ok()) return version.status();
    record.reserved_version = *version;
  }
  left->outcome = &event;
  left->publication = {
      .job_id = record.id,
      .attempt = record.attempt(),
      .archive = import ? event.import_outcome().file() : event.outcome().archive(),
      .size_bytes = import ? event.import_outcome().size_bytes() : event.outcome().size_bytes(),
      .kind = import ? Publication::Kind::kDataset : Publication::Kind::kModel,
      .name = name,
      .version = record.reserved_version};
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> JobController::StoreOutcome(absl::string_view job, int attempt,
                                                         const Unfinished& left) {
  const absl::Status published = with_.artifacts->Publish(left.publication);
  Effects effects;
  MutexLock lock(&mutex_);
  auto found = FindAttempt(job, attempt);
  if (!found.ok()) return found.status();
  LiveJob* live = *found;
  watch_.EndStoring(job, with_.clock->Elapsed());

  absl::Status status = published;
  if (published.ok()) {
    status = FinishOutcome(left, live, &effects);
    if (status.ok()) return live->record.acknowledged;
  } else if (IsWorkersFault(published)) {
    auto failed = Fail(live, "INTERNAL", published.message(), &effects);
    return failed.ok() ? ProtocolViolation(published.message()) : failed;
  }
  // Nobody is left to deliver it again.
  if (const auto exited = watch_.exited(job); exited.has_value()) Lose(live, *exited, &effects);
  return status;
}

absl::Status JobController::FinishOutcome(const Unfinished& left, LiveJob* live, Effects* effects) {
  const WorkerEvent& event = *left.outcome;
  JobChange change = Change(*live);
  change.record().acknowledged = event.number();
  absl::Status status;
  if (event.has_import_outcome()) {
    const absl::Status room =
        CheckDatasetSpace(event.import_outcome().size_bytes(), live->record.job.creator());
    status = room.ok() ? FinishImport(event.import_outcome(), &change)
                       : FailAttempt(ReasonOf(room), room.message(), &change);
  } else {
    const auto judge = [this](const v1::ModelVersion& version) {
      return with_.models->JudgeLatest(version).value_or(LatestVerdict());
    };
    worker::v1::Outcome outcome = event.outcome();
    outcome.mutable_result()->set_archive_uri(with_.artifacts->UriOf(left.publication));
    status = FinishAttempt(outcome, judge, &change);
  }
  return status.ok() ? Apply(std::move(change), live, effects) : status;
}

absl::Status JobController::Heartbeat(absl::string_view job, int attempt) {
  MutexLock lock(&mutex_);
  auto live = FindAttempt(job, attempt);
  if (!live.ok()) return live.status();
  watch_.Hear(job, with_.clock->Elapsed());
  return absl::OkStatus();
}

void JobController::Detached(absl::string_view job, int attempt, const WorkerLink* link) {
  MutexLock lock(&mutex_);
  auto live = FindAttempt(job, attempt);
  if (live.ok() && (*live)->link.get() == link) (*live)->link.reset();
}

}  // namespace atelier::jobs
