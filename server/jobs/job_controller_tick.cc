// JobController: what becomes due, and what becomes of processes.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_state.h"

namespace atelier::jobs {
namespace {

// 128 bits from the system's random source.
std::string DrawToken() {
  std::random_device source;
  std::string token;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&token, absl::Hex(source(), absl::kZeroPad8));
  return token;
}

}  // namespace

absl::Duration JobController::Tick() {
  const absl::Duration began = with_.clock->Elapsed();
  {
    Effects effects;
    MutexLock lock(&mutex_);
    Forgive(began - tick_due_);
    EndLeases(began, &effects);
  }
  while (StartNext()) {
  }
  CleanUp();
  MutexLock lock(&mutex_);
  const absl::Duration now = with_.clock->Elapsed();
  Forgive(now - began);
  const absl::Duration wait = NextDue(now);
  tick_due_ = now + wait;
  return wait;
}

void JobController::Forgive(absl::Duration gap) {
  if (gap <= options_.watch_interval) return;
  for (const auto& [id, live] : live_) {
    live->lease_end += gap;
    live->stop_deadline += gap;
  }
  for (auto& [handle, deadline] : leaving_) deadline += gap;
}

void JobController::EndLeases(absl::Duration now, Effects* effects) {
  std::vector<LiveJob*> silent;
  std::vector<LiveJob*> disobedient;
  for (const auto& [id, live] : live_) {
    if (!live->record.attempt_active() || live->publishing) continue;
    if (live->lease_end <= now) {
      silent.push_back(live.get());
    } else if (live->stop_deadline <= now) {
      disobedient.push_back(live.get());
    }
  }
  for (LiveJob* live : silent) {
    Lose(live, live->exited.value_or(ProcessEnd{.how = "no sign of life within its lease"}),
         effects);
  }
  for (LiveJob* live : disobedient) {
    Lose(live, {.how = "it was told to stop and did not"}, effects);
  }
  for (auto leaving = leaving_.begin(); leaving != leaving_.end();) {
    if (leaving->second > now) {
      ++leaving;
      continue;
    }
    effects->Add([executor = with_.executor, handle = leaving->first] { executor->Kill(handle); });
    scheduler_.Release(leaving->first);
    leaving_.erase(leaving++);
    attempts_changed_.NotifyAll();
  }
}

bool JobController::StartNext() {
  std::optional<LaunchRequest> request;
  {
    Effects effects;
    MutexLock lock(&mutex_);
    if (shutting_down_ || with_.clock->Elapsed() < next_launch_) return false;
    request = PrepareLaunch(&effects);
    if (!request.has_value()) {
      ShowHead();
      return false;
    }
    launching_ = request->job_id;
  }
  FinishLaunch(*request, Launch(*request));
  return true;
}

absl::StatusOr<std::string> JobController::Launch(const LaunchRequest& request) {
  auto made = with_.artifacts->MakeAttemptDir(request.job_id, request.attempt);
  if (!made.ok()) return made;
  return with_.executor->Launch(request);
}

std::optional<LaunchRequest> JobController::PrepareLaunch(Effects* effects) {
  while (auto grant = scheduler_.Next()) {
    LiveJob* live = Find(grant->id);
    const JobRecord& record = live->record;
    queue_view_.Remove(record);
    ShowHead();
    if (!with_.datasets->Directory(record.job.spec().dataset()).has_value()) {
      scheduler_.Release(grant->id);
      auto failed = Fail(
          live, "BAD_DATA",
          absl::StrCat("The server no longer has the data set ", record.job.spec().dataset(), "."),
          effects);
      if (failed.ok()) continue;
      Postpone(live, failed, effects);
      return std::nullopt;
    }
    // The token is on record before the process is there, so that the next server can find it if
    // this one ends before it has stored the attempt.
    JobChange change = Change(*live);
    change.record().token = DrawToken();
    if (auto status = Apply(std::move(change), live, effects); !status.ok()) {
      Postpone(live, status, effects);
      return std::nullopt;
    }
    const int attempt = record.attempt() + 1;
    return LaunchRequest{.job_id = record.id,
                         .attempt = attempt,
                         .token = record.token,
                         .attempt_dir = with_.artifacts->AttemptDir(record.id, attempt),
                         .resources = {.cores = grant->resources.cores,
                                       .memory_bytes = record.job.spec().memory_bytes(),
                                       .gpus = 0}};
  }
  return std::nullopt;
}

void JobController::Postpone(LiveJob* live, const absl::Status& why, Effects* effects) {
  BackOff();
  live->waiting_reason =
      absl::StrCat("Its worker could not be started: ", absl::StripSuffix(why.message(), "."),
                   "; it is tried again (", failed_starts_,
                   failed_starts_ == 1 ? " try failed so far)." : " tries failed so far).");
  scheduler_.Release(live->record.id);
  Enqueue(live->record);
  effects->Add([this, record = live->record, reason = live->waiting_reason] {
    observers_.NotStarted(record, reason);
  });
}

void JobController::FinishLaunch(const LaunchRequest& request,
                                 const absl::StatusOr<std::string>& handle) {
  Effects effects;
  MutexLock lock(&mutex_);
  launching_.clear();
  attempts_changed_.NotifyAll();
  const auto early_exits = std::exchange(early_exits_, {});
  // Stopped meanwhile, it may be gone.
  LiveJob* live = Find(request.job_id);
  absl::Status status = handle.status();
  if (handle.ok() && live != nullptr && !shutting_down_) {
    status = Begin(live, *handle, request.resources.cores, &effects);
    if (const auto exit = early_exits.find(*handle); status.ok() && exit != early_exits.end()) {
      live->exited = exit->second;
      Lose(live, *live->exited, &effects);
    }
    if (status.ok()) return;
  }
  scheduler_.Release(request.job_id);
  if (handle.ok() && !early_exits.contains(*handle)) {
    // Nobody wants it, or nobody would know it.
    effects.Add([executor = with_.executor, handle = *handle] { executor->Kill(handle); });
    AwaitExit(*handle,
              {.cores = request.resources.cores, .memory_bytes = request.resources.memory_bytes});
  }
  if (live == nullptr) return;
  if (status.ok()) return Enqueue(live->record);  // The server stops.
  Postpone(live, status, &effects);
}

absl::Status JobController::Begin(LiveJob* live, const std::string& handle, int cores,
                                  Effects* effects) {
  JobChange change = Change(*live);
  if (auto status = BeginAttempt(handle, cores, &change); !status.ok()) return status;
  if (auto status = Apply(std::move(change), live, effects); !status.ok()) return status;
  live->exited.reset();
  live->waiting_reason.clear();
  live->trimmed = live->record.attempt() == 1;
  live->lease_end = with_.clock->Elapsed() + options_.attach_timeout;
  return absl::OkStatus();
}

void JobController::OnProcessExit(const std::string& handle, const ProcessEnd& end) {
  Effects effects;
  MutexLock lock(&mutex_);
  if (leaving_.erase(handle) > 0) {
    scheduler_.Release(handle);
    attempts_changed_.NotifyAll();
    if (kick_) effects.Add(kick_);
    return;
  }
  for (const auto& [id, live] : live_) {
    if (!live->record.attempt_active() || live->record.handle != handle) continue;
    live->exited = end;
    if (!live->publishing) Lose(live.get(), end, &effects);
    return;
  }
  if (!launching_.empty()) early_exits_[handle] = end;
}

void JobController::CleanUp() {
  std::vector<JobRecord> ended;
  std::vector<std::pair<std::string, int>> resumed;
  {
    MutexLock lock(&mutex_);
    ended.swap(to_clean_);
    resumed.swap(to_trim_);
  }
  for (const auto& [id, attempt] : resumed) {
    // What is left here goes when the job ends.
    const absl::Status status = with_.artifacts->FreeAttemptsBefore(id, attempt);
    if (!status.ok()) {
      Log(absl::StrCat("Old checkpoints of job ", id, " cannot be freed: ", status.message()));
    }
  }
  for (JobRecord& record : ended) {
    absl::Status status = with_.artifacts->FreeJob(record.id);
    if (status.ok() && record.reserved_version != 0 && !record.job.has_result()) {
      status =
          with_.artifacts->RemoveVersion(record.job.spec().model_name(), record.reserved_version);
    }
    if (status.ok()) {
      record.files_freed = true;
      JobUpdate update;
      update.record = record;
      status = with_.jobs->Commit(update);
      if (absl::IsNotFound(status)) continue;  // Deleted meanwhile.
    }
    // The next start of the server tries again.
    if (!status.ok()) {
      Log(absl::StrCat("Files of job ", record.id, " cannot be freed: ", status.message()));
    }
  }
}

absl::Duration JobController::NextDue(absl::Duration now) {
  absl::Duration due = absl::InfiniteDuration();
  for (const auto& [id, live] : live_) {
    if (!live->record.attempt_active() || live->publishing) continue;
    due = std::min({due, live->lease_end, live->stop_deadline, now + options_.watch_interval});
  }
  for (const auto& [handle, deadline] : leaving_) {
    due = std::min({due, deadline, now + options_.watch_interval});
  }
  if (!scheduler_.queue().empty() && next_launch_ > now) due = std::min(due, next_launch_);
  if (!to_clean_.empty() || !to_trim_.empty()) due = now;
  return std::max(due - now, absl::ZeroDuration());
}

}  // namespace atelier::jobs
