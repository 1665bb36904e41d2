// JobController: what every change of a job goes through.
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_state.h"

namespace atelier::jobs {

JobController::Effects::~Effects() {
  for (const auto& call : calls_) call();
}

void JobController::Effects::Add(WakeList calls) {
  for (auto& call : calls) calls_.push_back(std::move(call));
}

absl::Status JobController::Apply(JobChange change, LiveJob* live, Effects* effects) {
  const bool was_active = live->record.attempt_active();
  const JobUpdate& update = change.update();
  if (auto status = with_.jobs->Commit(update); !status.ok()) return status;
  Show(update.record, update.withdraw_from, update.events, effects);
  live->record = std::move(change.record());
  const std::string id = live->record.id;
  if (was_active && !live->record.attempt_active()) AfterAttempt(live, effects);
  if (IsTerminal(live->record.job.state())) AfterEnd(id, effects);
  return absl::OkStatus();
}

void JobController::Show(const JobRecord& record, std::optional<std::int64_t> withdraw_from,
                         const std::vector<v1::JobEvent>& events, Effects* effects) {
  effects->Add(with_.events->Append(record.id, withdraw_from, events));
  if (with_.observer != nullptr) with_.observer->Stored(record, events);
}

void JobController::AfterAttempt(LiveJob* live, Effects* effects) {
  live->link.reset();
  live->lease_end = absl::InfiniteDuration();
  live->stop_deadline = absl::InfiniteDuration();
  scheduler_.Release(live->record.id);
  if (!live->record.handle.empty() && live->exited.empty()) {
    AwaitExit(live->record.handle, live->record.job.attempts(live->record.attempt() - 1).cores());
  }
  if (WaitsForCores(live->record)) Enqueue(live->record);
  attempts_changed_.NotifyAll();
  if (kick_) effects->Add(kick_);
}

void JobController::AwaitExit(const std::string& handle, int cores) {
  leaving_[handle] = with_.clock->Elapsed() + options_.exit_timeout;
  scheduler_.Hold(handle, cores);
}

void JobController::AfterEnd(const std::string& id, Effects* effects) {
  if (scheduler_.queue().Remove(id)) PublishPlaces();
  effects->Add(with_.events->Close(id));
  const auto live = live_.find(id);
  to_clean_.push_back(live->second->record);
  effects->Keep(std::move(live->second));
  live_.erase(live);
  if (kick_) effects->Add(kick_);
}

JobController::LiveJob* JobController::Find(absl::string_view id) {
  const auto live = live_.find(id);
  return live == live_.end() ? nullptr : live->second.get();
}

absl::StatusOr<JobController::LiveJob*> JobController::FindAttempt(absl::string_view id,
                                                                   int attempt) {
  LiveJob* live = Find(id);
  if (live == nullptr || !live->record.attempt_active() || live->record.attempt() != attempt) {
    return Error(absl::StatusCode::kAborted, "ATTEMPT_NOT_WANTED",
                 absl::StrCat("Attempt ", attempt, " of job ", id, " is no longer wanted."));
  }
  return live;
}

void JobController::Enqueue(const JobRecord& record) {
  scheduler_.queue().Push({.id = record.id,
                           .priority = record.job.spec().priority(),
                           .sequence = record.sequence,
                           .cores = record.job.spec().cores()});
  PublishPlaces();
}

void JobController::PublishPlaces() {
  MutexLock lock(&view_mutex_);
  places_.clear();
  for (const QueuedJob& job : scheduler_.queue().jobs()) {
    places_.emplace(job.id, static_cast<int>(places_.size()));
  }
}

WakeList JobController::Dismissal(const LiveJob& live) const {
  WakeList calls;
  if (live.link != nullptr) {
    calls.push_back([link = live.link, id = live.record.id] {
      link->Close(Error(absl::StatusCode::kAborted, "ATTEMPT_NOT_WANTED",
                        absl::StrCat("The attempt at job ", id, " is no longer wanted.")));
    });
  }
  if (!live.record.handle.empty() && live.exited.empty()) {
    calls.push_back(
        [executor = with_.executor, handle = live.record.handle] { executor->Kill(handle); });
  }
  return calls;
}

void JobController::Lose(LiveJob* live, absl::string_view how, Effects* effects) {
  effects->Add(Dismissal(*live));
  JobChange change = Change(*live);
  auto status =
      shutting_down_
          ? SuspendAttempt("SERVER_SHUTDOWN",
                           "The server stops; the job goes on at its next start.", &change)
          : LoseAttempt(how, options_.max_lost_attempts, &change);
  if (status.ok()) status = Apply(std::move(change), live, effects);
  if (status.ok()) return;
  // Tried again by Tick: the attempt counts as running until its end is stored.
  live->lease_end = with_.clock->Elapsed() + options_.retry_delay;
  if (kick_) effects->Add(kick_);
  Log(absl::StrCat("The end of an attempt at job ", live->record.id, " (", how,
                   ") cannot be stored: ", status.message()));
}

absl::Status JobController::Fail(LiveJob* live, absl::string_view reason, absl::string_view message,
                                 Effects* effects) {
  JobChange change = Change(*live);
  if (auto status = FailAttempt(reason, message, &change); !status.ok()) return status;
  WakeList dismissal = Dismissal(*live);  // Before Apply, which lets go of the link.
  if (auto status = Apply(std::move(change), live, effects); !status.ok()) return status;
  effects->Add(std::move(dismissal));
  return absl::OkStatus();
}

void JobController::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

}  // namespace atelier::jobs
