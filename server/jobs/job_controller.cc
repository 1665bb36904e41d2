// JobController: requests, start and end of the server.
#include "server/jobs/job_controller.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/system_clock.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_state.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

constexpr int kJobIdTries = 1000;  // Suffixes tried for a job's id.

// The request as its maker meant it, to tell a repeat from another request under the same id.
std::string Canonical(v1::StartTrainingRequest request) {
  request.clear_request_id();
  return request.SerializeAsString();
}

}  // namespace

JobController::JobController(Options options, Dependencies dependencies)
    : options_(std::move(options)),
      with_(std::move(dependencies)),
      observers_(with_.observers),
      relay_(std::make_shared<ExitRelay>()),
      scheduler_(
          {.cores = std::max(1, options_.total_cores), .memory_bytes = options_.total_memory_bytes},
          options_.queue_capacity) {}

absl::StatusOr<std::unique_ptr<JobController>> JobController::Create(Options options,
                                                                     Dependencies dependencies) {
  std::unique_ptr<JobController> controller(
      new JobController(std::move(options), std::move(dependencies)));
  {
    MutexLock lock(&controller->relay_->mutex);
    controller->relay_->controller = controller.get();
  }
  controller->with_.executor->SetExitCallback(
      [relay = controller->relay_](const std::string& handle, const ProcessEnd& end) {
        MutexLock lock(&relay->mutex);
        if (relay->controller != nullptr) relay->controller->OnProcessExit(handle, end);
      });
  if (auto status = controller->Recover(); !status.ok()) return status;
  return controller;
}

JobController::~JobController() {
  MutexLock lock(&relay_->mutex);
  relay_->controller = nullptr;
}

absl::Status JobController::Recover() {
  auto records = with_.jobs->LoadUnfinished();
  if (!records.ok()) return records.status();
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
  return absl::OkStatus();
}

void JobController::EndStrayWorkers(const JobRecord& record) {
  if (record.token.empty()) return;  // Nothing was ever launched for it.
  // That of an attempt which has ended, and that of one which was never stored.
  const auto unstored = with_.executor->Find(record.id, record.attempt() + 1, record.token);
  for (const std::string& handle : {record.handle, unstored.value_or("")}) {
    if (handle.empty() || !with_.executor->Adopt(handle).ok()) continue;
    with_.executor->Kill(handle);
    Log(absl::StrCat("A worker of job ", record.id, " that the last server left is ended."));
    MutexLock lock(&mutex_);
    AwaitExit(handle, {.cores = record.job.spec().cores(),
                       .memory_bytes = record.job.spec().memory_bytes()});
  }
}

void JobController::RecoverAttempt(const std::string& id) {
  JobRecord record;
  {
    MutexLock lock(&mutex_);
    LiveJob* live = Find(id);
    const absl::Duration now = with_.clock->Elapsed();
    live->lease_end = now + options_.lease;
    if (live->record.stop_requested) live->stop_deadline = now + options_.stop_timeout;
    record = live->record;
  }
  absl::Status adopted;
  if (record.handle.empty()) {
    // A server of 0.1 ended between launching the process and storing its handle.
    auto handle = with_.executor->Find(id, record.attempt(), record.token);
    adopted = handle.status();
    if (handle.ok()) {
      record.handle = *handle;
      MutexLock lock(&mutex_);
      Find(id)->record.handle = *handle;
    }
  }
  if (adopted.ok()) adopted = with_.executor->Adopt(record.handle);
  if (adopted.ok()) return;
  if (!absl::IsNotFound(adopted)) {
    Log(absl::StrCat("The worker of job ", id, " cannot be watched: ", adopted.message()));
    return;
  }
  Effects effects;
  MutexLock lock(&mutex_);
  LiveJob* live = Find(id);
  if (live == nullptr || !live->record.attempt_active()) return;
  live->exited = ProcessEnd{.how = "it ended while the server was down"};
  Lose(live, *live->exited, &effects);
}

absl::StatusOr<v1::TrainingJob> JobController::Start(const v1::StartTrainingRequest& request) {
  // Before anything is looked at that may have changed since: a data set may be gone.
  auto repeat = FindRepeat(request);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  auto resolved = with_.resolver->Resolve(request);
  if (!resolved.ok()) return resolved.status();
  Effects effects;
  MutexLock lock(&mutex_);
  auto job = Accept(request, *std::move(resolved), &effects);
  if (job.ok() && kick_) effects.Add(kick_);
  return job;
}

absl::StatusOr<v1::TrainingJob> JobController::Accept(const v1::StartTrainingRequest& request,
                                                      ResolvedRequest resolved, Effects* effects) {
  // Again, now that no other call can come between.
  auto repeat = FindRepeat(request);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  if (shutting_down_) {
    return Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                 "The server is stopping and accepts no new jobs; try again once it is back.");
  }
  if (scheduler_.queue().full()) {
    return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                 absl::StrCat("The queue is full: ", scheduler_.queue().size(),
                              " jobs wait. Try again when some have started."));
  }

  JobRecord record;
  record.request_id = resolved.request_id;
  record.request = Canonical(request);
  *record.job.mutable_spec() = std::move(resolved.spec);
  return Admit(std::move(record), resolved.base_name, effects);
}

absl::StatusOr<std::optional<v1::TrainingJob>> JobController::FindRepeat(
    const v1::StartTrainingRequest& request) {
  const std::string& id = request.request_id();
  if (id.empty()) return std::optional<v1::TrainingJob>();
  auto before = with_.jobs->FindByRequestId(id);
  if (!before.ok()) return before.status();
  if (before->has_value()) {
    if ((*before)->request == Canonical(request)) {
      return std::optional<v1::TrainingJob>(Shown(**before));
    }
    return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                 absl::StrCat("The request id ", id, " already made ", (*before)->job.name(),
                              " from another request; use a new id for a new job."));
  }
  auto deleted = with_.jobs->FindDeletedByRequestId(id, with_.clock->Now());
  if (!deleted.ok()) return deleted.status();
  if (deleted->has_value()) {
    return Error(absl::StatusCode::kAlreadyExists, "JOB_DELETED",
                 absl::StrCat("The request id ", id, " made ", JobName(**deleted),
                              ", which was deleted; use a new id for a new job."));
  }
  return std::optional<v1::TrainingJob>();
}

absl::StatusOr<v1::TrainingJob> JobController::Admit(JobRecord record, const std::string& base_name,
                                                     Effects* effects) {
  const absl::Time now = with_.clock->Now();
  *record.job.mutable_create_time() = ToTimestamp(now);
  const std::string stem =
      absl::StrCat(base_name, "-", absl::FormatTime("%Y%m%d-%H%M%S", now, absl::UTCTimeZone()));
  for (int i = 1; i <= kJobIdTries; ++i) {
    record.id = i == 1 ? stem : absl::StrCat(stem, "-", i);
    if (Find(record.id) != nullptr) continue;
    record.job.set_name(JobName(record.id));
    JobChange change(record, now);
    auto status = change.Enter(v1::JOB_STATE_QUEUED, "ACCEPTED", "The job waits for free cores.");
    if (!status.ok()) return status;
    with_.events->Open(record.id, 0);
    auto sequence = with_.jobs->Insert(change.record(), change.update().events);
    if (!sequence.ok()) {
      effects->Add(with_.events->Close(record.id));
      if (absl::IsAlreadyExists(sequence.status())) continue;
      return sequence.status();
    }
    Show(change.record(), std::nullopt, change.update().events, effects);
    change.record().sequence = *sequence;
    Enqueue(change.record());
    auto& live = live_[record.id] = std::make_unique<LiveJob>();
    live->record = std::move(change.record());
    return Shown(live->record);
  }
  return Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_JOBS",
               absl::StrCat("More than ", kJobIdTries, " jobs named ", base_name,
                            " were started in one second; try again."));
}

v1::TrainingJob JobController::Shown(JobRecord record) const {
  if (record.job.state() != v1::JOB_STATE_QUEUED) return std::move(record.job);
  if (const auto place = queue_view_.Find(record); place.has_value()) {
    record.job.set_queue_position(place->number);
    record.job.set_waiting_reason(place->waiting_reason);
  }
  return std::move(record.job);
}

absl::StatusOr<v1::TrainingJob> JobController::Get(absl::string_view id) {
  auto record = with_.jobs->Load(id);
  if (!record.ok()) return record.status();
  return Shown(*std::move(record));
}

absl::StatusOr<v1::ListJobsResponse> JobController::List(const v1::ListJobsRequest& request) {
  auto size = ResolvePageSize(request.page_size(), 50, 1000);
  if (!size.ok()) return size.status();
  JobQuery query{.page_size = *size, .page_token = request.page_token(), .states = {}};
  for (const int state : request.states()) {
    if (!v1::JobState_IsValid(state) || state == v1::JOB_STATE_UNSPECIFIED) {
      return InvalidField("states", absl::StrCat("There is no job state ", state, "."));
    }
    query.states.push_back(static_cast<v1::JobState>(state));
  }
  auto page = with_.jobs->List(query);
  if (!page.ok()) return page.status();
  v1::ListJobsResponse response;
  for (JobRecord& record : page->records) *response.add_jobs() = Shown(std::move(record));
  response.set_next_page_token(page->next_page_token);
  return response;
}

absl::StatusOr<v1::TrainingJob> JobController::Stop(absl::string_view id) {
  Effects effects;
  MutexLock lock(&mutex_);
  LiveJob* live = Find(id);
  if (live == nullptr) {
    auto record = with_.jobs->Load(id);
    if (!record.ok()) return record.status();
    if (record->job.state() == v1::JOB_STATE_STOPPED) return record->job;
    return Error(absl::StatusCode::kFailedPrecondition, "JOB_ENDED",
                 absl::StrCat("Job ", id, " has ended already (", StateWord(record->job.state()),
                              "); only a job that is queued or "
                              "running can be stopped."));
  }
  if (live->record.stop_requested) return live->record.job;

  const v1::JobState before = live->record.job.state();
  JobChange change = Change(*live);
  if (auto status = RequestStop(&change); !status.ok()) return status;
  if (auto status = Apply(std::move(change), live, &effects); !status.ok()) return status;
  if (live->record.attempt_active()) {
    if (before != v1::JOB_STATE_EVALUATING && before != v1::JOB_STATE_STORING) {
      live->stop_deadline = with_.clock->Elapsed() + options_.stop_timeout;
    }
    if (live->link != nullptr) effects.Add([link = live->link] { link->Stop(); });
    if (kick_) effects.Add(kick_);
  }
  return live->record.job;
}

absl::Status JobController::Delete(absl::string_view id) {
  {
    MutexLock lock(&mutex_);
    if (const LiveJob* live = Find(id); live != nullptr) {
      return Error(absl::StatusCode::kFailedPrecondition, "JOB_NOT_ENDED",
                   absl::StrCat("Job ", id, " is ", StateWord(live->record.job.state()),
                                "; stop it before deleting it."));
    }
  }
  auto record = with_.jobs->Load(id);
  if (!record.ok()) return record.status();
  // Files first: if the server dies between the two, the job is still there to be deleted again.
  if (auto status = with_.artifacts->RemoveJob(id); !status.ok()) return status;
  if (auto status = with_.jobs->Delete(id, with_.clock->Now()); !status.ok()) return status;
  observers_.Deleted(*record);
  return absl::OkStatus();
}

absl::StatusOr<v1::ConfusionMatrix> JobController::GetConfusionMatrix(absl::string_view id) {
  return with_.jobs->ReadConfusionMatrix(id);
}

absl::StatusOr<v1::GetPredictionsResponse> JobController::GetPredictions(
    absl::string_view id, const v1::GetPredictionsRequest& request) {
  auto size = ResolvePageSize(request.page_size(), 100, 10'000);
  if (!size.ok()) return size.status();
  PredictionQuery query{.page_size = *size,
                        .page_token = request.page_token(),
                        .true_class = std::nullopt,
                        .predicted_class = std::nullopt,
                        .wrong_only = request.wrong_only()};
  if (request.has_true_class()) query.true_class = request.true_class();
  if (request.has_predicted_class()) query.predicted_class = request.predicted_class();
  return with_.jobs->ReadPredictions(id, query);
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

bool JobController::NoneActive() const {
  return launching_.empty() && std::none_of(live_.begin(), live_.end(), [](const auto& live) {
           return live.second->record.attempt_active();
         });
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
  while (!leaving_.empty()) {
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
    if (live->record.attempt_active() && !live->publishing) remaining.push_back(live.get());
  }
  for (LiveJob* live : remaining) Lose(live, {.how = "the server stopped"}, &effects);
}

JobLoad JobController::Load() {
  MutexLock lock(&mutex_);
  return {.queued = scheduler_.queue().size(),
          .running = scheduler_.holders() - leaving_.size(),
          .free_cores = scheduler_.free().cores,
          .total_cores = scheduler_.total().cores};
}

void JobController::SetKick(std::function<void()> kick) {
  MutexLock lock(&mutex_);
  kick_ = std::move(kick);
}

}  // namespace atelier::jobs
