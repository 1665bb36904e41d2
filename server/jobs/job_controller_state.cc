// JobController: what every change of a job goes through.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"

namespace atelier::jobs {

namespace {

// The attempt's worker was lost before it showed that it works.
bool EndsFailedStart(const JobRecord& record) {
  return !record.positioned &&
         record.job.attempts(record.attempt() - 1).end_reason() == "WORKER_LOST";
}

}  // namespace

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
  observers_.Stored(record, events);
}

void JobController::AfterAttempt(LiveJob* live, Effects* effects) {
  live->link.reset();
  const std::string& id = live->record.id;
  const bool gone = watch_.exited(id).has_value();
  watch_.End(id);
  queue_view_.SetPending(live->record, "");
  effects->Add(with_.events->SetNote(id, ""));
  scheduler_.Release(id);
  if (!live->record.handle.empty() && !gone) AwaitExit(live->record.handle, HeldBy(live->record));
  if (WaitsForCores(live->record)) Enqueue(live->record);
  attempts_changed_.NotifyAll();
  if (kick_) effects->Add(kick_);
}

void JobController::AwaitExit(const std::string& handle, Scheduler::Resources resources) {
  watch_.Leave(handle, with_.clock->Elapsed());
  scheduler_.Hold(handle, resources);
}

Scheduler::Resources JobController::HeldBy(const JobRecord& record) {
  return {.cores = record.job.attempts(record.attempt() - 1).cores(),
          .memory_bytes = NeedsOf(record.job).memory_bytes};
}

void JobController::AfterEnd(const std::string& id, Effects* effects) {
  const auto live = live_.find(id);
  if (scheduler_.queue().Remove(id) || std::erase(held_, id) > 0) {
    queue_view_.Remove(live->second->record);
    ShowHead();
  }
  effects->Add(with_.events->Close(id));
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
  const Scheduler::Resources needs = NeedsOf(record.job);
  scheduler_.queue().Push({.id = record.id,
                           .priority = record.job.spec().priority(),
                           .sequence = record.sequence,
                           .cores = needs.cores,
                           .memory_bytes = needs.memory_bytes});
  const LiveJob* live = Find(record.id);
  queue_view_.Add(record, live == nullptr ? "" : live->waiting_reason);
  ShowHead();
}

void JobController::ShowHead() {
  queue_view_.SetHeadReason(scheduler_.HeadWaitsForMemory() ? MemoryReason() : "");
}

std::string JobController::MemoryReason() const {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  const std::int64_t free = std::max<std::int64_t>(0, scheduler_.free().memory_bytes);
  return absl::StrCat("It needs ", scheduler_.queue().front().memory_bytes / kMebibyte,
                      " MiB of memory; of the ", scheduler_.total().memory_bytes / kMebibyte,
                      " MiB for jobs ", free / kMebibyte, " MiB are free.");
}

WakeList JobController::Dismissal(const LiveJob& live) const {
  WakeList calls;
  if (live.link != nullptr) {
    calls.push_back([link = live.link, id = live.record.id] {
      link->Close(Error(absl::StatusCode::kAborted, "ATTEMPT_NOT_WANTED",
                        absl::StrCat("The attempt at job ", id, " is no longer wanted.")));
    });
  }
  if (live.record.attempt_active() && !live.record.handle.empty() &&
      !watch_.exited(live.record.id).has_value()) {
    calls.push_back(
        [executor = with_.executor, handle = live.record.handle] { executor->Kill(handle); });
  }
  return calls;
}

absl::Status JobController::DatasetGone(const JobRecord& record) {
  return absl::NotFoundError(
      absl::StrCat("The server no longer has the data set ", NeededDataset(record.job), "."));
}

absl::Status JobController::EndLost(const ProcessEnd& end, JobChange* change) {
  const JobRecord& record = change->record();
  if (shutting_down_) return SuspendAttempt("SERVER_SHUTDOWN", "The server stops", change);
  // One that never reached the server at all has something wrong with it.
  if (end.cause == ProcessEnd::Cause::kServerUnreachable && record.acknowledged > 0) {
    return SuspendAttempt("SERVER_UNREACHABLE",
                          "The worker had no word from the server for its lease and ended", change);
  }
  if (end.cause == ProcessEnd::Cause::kPreempted) {
    return SuspendAttempt("PREEMPTED", absl::StrCat("The worker was preempted (", end.how, ")"),
                          change);
  }
  if (end.cause == ProcessEnd::Cause::kRefused) {
    return FailAttempt("REFUSED", absl::StrCat("The worker cannot be run: ", end.how, "."), change);
  }
  if (end.cause == ProcessEnd::Cause::kOutOfMemory) {
    return FailAttempt("OUT_OF_MEMORY",
                       absl::StrCat("The worker was ", end.how, "; the job may use ",
                                    NeedsOfNode(record.job).memory_bytes >> 20, " MiB. Try ",
                                    TraitsOf(record.job).memory_advice,
                                    "a machine or container with more memory."),
                       change);
  }
  return LoseAttempt(end.how, options_.max_lost_attempts, change);
}

void JobController::Lose(LiveJob* live, const ProcessEnd& end, Effects* effects) {
  effects->Add(Dismissal(*live));
  if (!live->record.positioned) {
    live->waiting_reason = absl::StrCat("Its last worker ended before it trained (", end.how,
                                        "); the next is started after a pause.");
  }
  JobChange change = Change(*live);
  auto status = EndLost(end, &change);
  const bool failed_start = EndsFailedStart(change.record());
  if (status.ok()) status = Apply(std::move(change), live, effects);
  if (status.ok()) {
    if (failed_start) watch_.StartFailed(with_.clock->Elapsed());
    return;
  }
  // Tried again by Tick: the attempt counts as running until its end is stored.
  watch_.LookAgain(live->record.id, with_.clock->Elapsed());
  if (kick_) effects->Add(kick_);
  Log(absl::StrCat("The end of an attempt at job ", live->record.id, " (", end.how,
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
