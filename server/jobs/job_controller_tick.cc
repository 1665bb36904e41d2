// JobController: what becomes due, and what becomes of processes.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
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
  {
    Effects effects;
    MutexLock lock(&mutex_);
    EndLeases(with_.clock->Elapsed(), &effects);
  }
  while (StartNext()) {
  }
  CleanUp();
  MutexLock lock(&mutex_);
  return NextDue(with_.clock->Elapsed());
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
    const std::string how =
        live->exited.empty() ? std::string("no sign of life within its lease") : live->exited;
    Lose(live, how, effects);
  }
  for (LiveJob* live : disobedient) {
    Lose(live, "it was told to stop and did not", effects);
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
    if (!request.has_value()) return false;
    launching_ = true;
  }
  FinishLaunch(*request, with_.executor->Launch(*request));
  return true;
}

std::optional<LaunchRequest> JobController::PrepareLaunch(Effects* effects) {
  while (auto grant = scheduler_.Next()) {
    PublishPlaces();
    LiveJob* live = Find(grant->id);
    const JobRecord& record = live->record;
    if (!with_.datasets->Directory(record.job.spec().dataset()).has_value()) {
      scheduler_.Release(grant->id);
      auto failed = Fail(
          live, "BAD_DATA",
          absl::StrCat("The server no longer has the data set ", record.job.spec().dataset(), "."),
          effects);
      if (failed.ok()) continue;
      Postpone(*live, failed);
      return std::nullopt;
    }
    JobChange change = Change(*live);
    auto status = BeginAttempt(DrawToken(), grant->cores, &change);
    if (status.ok()) status = Apply(std::move(change), live, effects);
    if (!status.ok()) {
      Postpone(*live, status);
      return std::nullopt;
    }
    live->exited.clear();
    live->lease_end = with_.clock->Elapsed() + options_.attach_timeout;
    return LaunchRequest{
        .job_id = record.id,
        .attempt = record.attempt(),
        .token = record.token,
        .attempt_dir = with_.artifacts->AttemptDir(record.id, record.attempt()),
        .resources = {
            .cores = grant->cores, .memory_bytes = record.job.spec().memory_bytes(), .gpus = 0}};
  }
  return std::nullopt;
}

void JobController::Postpone(const LiveJob& live, const absl::Status& why) {
  scheduler_.Release(live.record.id);
  Enqueue(live.record);
  next_launch_ = with_.clock->Elapsed() + options_.retry_delay;
  Log(absl::StrCat("Job ", live.record.id, " cannot be started yet: ", why.message()));
}

void JobController::FinishLaunch(const LaunchRequest& request,
                                 const absl::StatusOr<std::string>& handle) {
  Effects effects;
  MutexLock lock(&mutex_);
  launching_ = false;
  const auto early_exits = std::exchange(early_exits_, {});
  auto found = FindAttempt(request.job_id, request.attempt);
  if (!found.ok()) {
    // The attempt has ended meanwhile; its process has a moment to end as well.
    if (handle.ok() && !early_exits.contains(*handle)) {
      AwaitExit(*handle, request.resources.cores);
    }
    return;
  }
  LiveJob* live = *found;
  if (!handle.ok()) {
    next_launch_ = with_.clock->Elapsed() + options_.retry_delay;
    Lose(live, absl::StrCat("it could not be started: ", handle.status().message()), &effects);
    return;
  }
  JobChange change = Change(*live);
  change.record().handle = *handle;
  if (auto status = Apply(std::move(change), live, &effects); !status.ok()) {
    // This server knows the process all the same; the next one will wait for it to attach.
    live->record.handle = *handle;
    Log(absl::StrCat("The process of job ", request.job_id,
                     " cannot be stored: ", status.message()));
  }
  if (const auto exit = early_exits.find(*handle); exit != early_exits.end()) {
    live->exited = exit->second;
    if (!live->publishing) Lose(live, live->exited, &effects);
  }
}

void JobController::OnProcessExit(const std::string& handle, const std::string& how) {
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
    live->exited = how;
    if (!live->publishing) Lose(live.get(), how, &effects);
    return;
  }
  if (launching_) early_exits_[handle] = how;
}

void JobController::CleanUp() {
  std::vector<JobRecord> ended;
  {
    MutexLock lock(&mutex_);
    ended.swap(to_clean_);
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
    due = std::min({due, live->lease_end, live->stop_deadline});
  }
  for (const auto& [handle, deadline] : leaving_) due = std::min(due, deadline);
  if (!scheduler_.queue().empty() && next_launch_ > now) due = std::min(due, next_launch_);
  if (!to_clean_.empty()) due = now;
  return std::max(due - now, absl::ZeroDuration());
}

}  // namespace atelier::jobs
