// JobController: start and end of the server.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/system_clock.h"
#include "server/jobs/attempt.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"

namespace atelier::jobs {

JobController::JobController(Options options, Dependencies dependencies)
    : options_(std::move(options)),
      with_(std::move(dependencies)),
      observers_(with_.observers),
      relay_(std::make_shared<StatusRelay>()),
      quota_(options_.limits_of, with_.models, with_.pushed_datasets),
      scheduler_({.cores = options_.total_cores, .memory_bytes = options_.total_memory_bytes},
                 options_.queue_capacity, static_cast<std::size_t>(options_.max_attempts)),
      watch_(options_) {}

absl::StatusOr<std::unique_ptr<JobController>> JobController::Create(Options options,
                                                                     Dependencies dependencies) {
  std::unique_ptr<JobController> controller(
      new JobController(std::move(options), std::move(dependencies)));
  {
    MutexLock lock(&controller->relay_->mutex);
    controller->relay_->controller = controller.get();
  }
  controller->with_.executor->SetStatusCallback(
      [relay = controller->relay_](const std::string& handle, const LaunchStatus& status) {
        MutexLock lock(&relay->mutex);
        if (relay->controller != nullptr) relay->controller->OnLaunchStatus(handle, status);
      });
  if (auto status = controller->Recover(); !status.ok()) return status;
  controller->with_.executor->Recovered();
  return controller;
}

JobController::~JobController() {
  MutexLock lock(&relay_->mutex);
  relay_->controller = nullptr;
}

absl::Status JobController::Recover() {
  auto records = with_.jobs->LoadUnfinished();
  if (!records.ok()) return records.status();
  for (const JobRecord& record : *records) {
    if (IsTerminal(record.job.state())) continue;
    if (const absl::Status status = CheckUnended(record); !status.ok()) return status;
  }
  auto counts = with_.jobs->CountJobs();
  if (!counts.ok()) return counts.status();
  std::vector<std::string> running;
  std::vector<JobRecord> idle;  // Without an attempt.
  {
    MutexLock lock(&mutex_);
    observers_.Began(*counts);
    for (JobRecord& record : *records) {
      if (!record.attempt_active()) idle.push_back(record);
      if (IsTerminal(record.job.state())) {
        to_clean_.push_back(std::move(record));
        continue;
      }
      with_.events->Open(record.id, record.last_event);
      observers_.Stored(record, {});
      if (WaitsForCores(record)) {
        Enqueue(record);
      } else {
        running.push_back(record.id);
        scheduler_.Hold(record.id, HeldBy(record));
      }
      auto live = std::make_unique<LiveJob>();
      live->record = std::move(record);
      const std::string id = live->record.id;
      live_[id] = std::move(live);
    }
  }
  for (const std::string& id : running) RecoverAttempt(id);
  for (const JobRecord& record : idle) EndStrayWorkers(record);
  RemoveStrayDatasets();
  return absl::OkStatus();
}

void JobController::EndStrayWorkers(const JobRecord& record) {
  if (record.token.empty()) return;  // Nothing was ever launched for it.
  // That of an attempt which has ended, and that of one which was never stored.
  const auto unstored = with_.executor->Find(record.id, record.attempt() + 1, record.token);
  for (const std::string& handle : {record.handle, unstored.value_or("")}) {
    if (handle.empty()) continue;
    const auto adopted = with_.executor->Adopt(handle);
    if (!adopted.ok() || std::holds_alternative<ProcessEnd>(*adopted)) continue;
    with_.executor->Kill(handle);
    Log(absl::StrCat("A worker of job ", record.id, " that the last server left is ended."));
    MutexLock lock(&mutex_);
    AwaitExit(handle, NeedsOf(record.job));
  }
}

void JobController::RecoverAttempt(const std::string& id) {
  JobRecord record;
  {
    MutexLock lock(&mutex_);
    record = Find(id)->record;
    watch_.Adopt(id, record.handle, record.stop_requested, with_.clock->Elapsed());
  }
  absl::StatusOr<LaunchStatus> adopted = LaunchRunning();
  if (record.handle.empty()) {
    // A server of 0.1 ended between launching the process and storing its handle.
    auto handle = with_.executor->Find(id, record.attempt(), record.token);
    if (!handle.ok()) adopted = handle.status();
    if (handle.ok()) {
      record.handle = *handle;
      MutexLock lock(&mutex_);
      Find(id)->record.handle = *handle;
      watch_.Adopt(id, *handle, record.stop_requested, with_.clock->Elapsed());
    }
  }
  if (adopted.ok()) adopted = with_.executor->Adopt(record.handle);
  if (!adopted.ok() && !absl::IsNotFound(adopted.status())) {
    Log(absl::StrCat("The worker of job ", id, " cannot be watched: ", adopted.status().message()));
    return;
  }
  Effects effects;
  MutexLock lock(&mutex_);
  LiveJob* live = Find(id);
  if (live == nullptr || !live->record.attempt_active()) return;
  if (adopted.ok() && !std::holds_alternative<ProcessEnd>(*adopted)) {
    return Follow(live, *adopted, &effects);
  }
  const ProcessEnd end = adopted.ok() ? std::get<ProcessEnd>(*adopted)
                                      : ProcessEnd{.how = "it ended while the server was down"};
  watch_.SetExited(id, end);
  Lose(live, end, &effects);
}

void JobController::BeginShutdown() {
  Effects effects;
  MutexLock lock(&mutex_);
  shutting_down_ = true;
  for (const auto& [id, live] : live_) {
    if (live->link != nullptr) effects.Add([link = live->link] { link->Suspend(); });
  }
}

bool JobController::AllSuspended() {
  MutexLock lock(&mutex_);
  return NoneActive();
}

// What an engine has not run yet keeps its place there for the next server.
bool JobController::NoneActive() const {
  return !watch_.launching() && watch_.attempts() == watch_.pending();
}

bool JobController::AwaitSuspended(absl::Duration timeout) {
  const SystemClock clock;  // Waiting takes real time, whatever clock the jobs go by.
  const absl::Duration deadline = clock.Elapsed() + timeout;
  MutexLock lock(&mutex_);
  while (!NoneActive()) {
    const absl::Duration left = deadline - clock.Elapsed();
    if (left <= absl::ZeroDuration()) return false;
    attempts_changed_.WaitFor(&mutex_, left);
  }
  return true;
}

bool JobController::AwaitProcessesGone(absl::Duration timeout) {
  const SystemClock clock;
  const absl::Duration deadline = clock.Elapsed() + timeout;
  MutexLock lock(&mutex_);
  while (watch_.leaving() > 0) {
    const absl::Duration left = deadline - clock.Elapsed();
    if (left <= absl::ZeroDuration()) return false;
    attempts_changed_.WaitFor(&mutex_, left);
  }
  return true;
}

void JobController::KillRemaining() {
  Effects effects;
  MutexLock lock(&mutex_);
  std::vector<LiveJob*> remaining;
  for (const auto& [id, live] : live_) {
    if (live->record.attempt_active() && !watch_.storing(id) && !watch_.pending(id)) {
      remaining.push_back(live.get());
    }
  }
  for (LiveJob* live : remaining) Lose(live, {.how = "the server stopped"}, &effects);
}

}  // namespace atelier::jobs
