// JobController: requests.
#include "server/jobs/job_controller.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/attempt.h"
#include "server/jobs/canonical_request.h"
#include "server/jobs/error.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/notify_url.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

constexpr int kJobIdTries = 1000;  // Suffixes tried for a job's id.

absl::Status CheckNotifyUrl(const std::string& url) {
  const std::string problem = url.empty() ? "" : NotifyUrlProblem(url);
  return problem.empty() ? absl::OkStatus()
                         : InvalidField("notify_url", absl::StrCat(problem, "."));
}

}  // namespace

absl::StatusOr<v1::TrainingJob> JobController::Start(const v1::StartTrainingRequest& request,
                                                     const std::string& creator) {
  // Before anything is looked at that may have changed since: a data set may be gone.
  auto repeat = FindRepeat(creator, request.request_id(), Canonical(request));
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  if (auto status = CheckNotifyUrl(request.notify_url()); !status.ok()) return status;
  auto resolved = Resolve(request);
  if (!resolved.ok()) return resolved.status();
  Effects effects;
  MutexLock lock(&mutex_);
  auto job = Accept(request, *std::move(resolved), creator, &effects);
  if (job.ok() && kick_) effects.Add(kick_);
  return job;
}

absl::StatusOr<v1::TrainingJob> JobController::Accept(const v1::StartTrainingRequest& request,
                                                      ResolvedRequest resolved,
                                                      const std::string& creator,
                                                      Effects* effects) {
  // Again, now that no other call can come between.
  auto repeat = FindRepeat(creator, request.request_id(), Canonical(request));
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  if (auto status = CheckRoom(); !status.ok()) return status;
  // It may have been deleted since it was resolved.
  const absl::Status found = with_.datasets->Find(resolved.spec.dataset()).status();
  if (absl::IsNotFound(found)) {
    return InvalidField(
        "spec.dataset",
        absl::StrCat("There is no data set ", Quoted(resolved.spec.dataset()), " any more."));
  }
  if (!found.ok()) return found;

  JobRecord record;
  record.request_id = resolved.request_id;
  record.request = Canonical(request);
  record.notify_url = request.notify_url();
  *record.job.mutable_spec() = std::move(resolved.spec);
  record.job.set_creator(creator);
  record.checkpointed = !record.job.spec().continues().empty();
  if (resolved.start.ByteSizeLong() > 0) *record.job.mutable_start() = std::move(resolved.start);
  return Admit(std::move(record), resolved.base_name, effects);
}

absl::StatusOr<v1::TrainingJob> JobController::AcceptOther(v1::TrainingJob job,
                                                           const std::string& request_id,
                                                           const std::string& canonical) {
  Effects effects;
  MutexLock lock(&mutex_);
  auto repeat = FindRepeat(job.creator(), request_id, canonical);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  if (const LiveJob* same = job.has_import() ? FindSameImport(job.import()) : nullptr;
      same != nullptr) {
    return Shown(same->record);
  }
  if (auto status = CheckRoom(); !status.ok()) return status;
  JobRecord record;
  record.request_id = request_id;
  record.request = canonical;
  record.job = std::move(job);
  const std::string base_name = BaseNameOf(record.job);
  auto accepted = Admit(std::move(record), base_name, &effects);
  if (accepted.ok() && kick_) effects.Add(kick_);
  return accepted;
}

absl::Status JobController::CheckRoom() const {
  if (shutting_down_) {
    return Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                 "The server is stopping and accepts no new jobs; try again once it is back.");
  }
  if (!scheduler_.queue().full()) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
               absl::StrCat("The queue is full: ", scheduler_.queue().size(),
                            " jobs wait. Try again when some have started."));
}

JobQuota::Use JobController::UseOf(const std::string& creator) const {
  JobQuota::Use use;
  for (const auto& [id, live] : live_) {
    const JobRecord& record = live->record;
    if (record.job.creator() != creator) continue;
    ++use.jobs;
    if (!record.attempt_active()) continue;
    ++use.running;
    use.cores += HeldBy(record).cores;
  }
  return use;
}

absl::StatusOr<std::optional<v1::TrainingJob>> JobController::FindRepeat(
    const std::string& creator, const std::string& id, const std::string& canonical) {
  if (id.empty()) return std::optional<v1::TrainingJob>();
  auto before = with_.jobs->FindByRequestId(creator, id);
  if (!before.ok()) return before.status();
  if (before->has_value()) {
    if ((*before)->request == canonical) {
      return std::optional<v1::TrainingJob>(Shown(**before));
    }
    return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                 absl::StrCat("The request id ", id, " already made ", (*before)->job.name(),
                              " from another request; use a new id for a new job."));
  }
  auto deleted = with_.jobs->FindDeletedByRequestId(creator, id, with_.clock->Now());
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
  if (quota_.limits()) {
    const absl::Status status =
        quota_.CheckNew(record.job, NeedsOf(record.job).cores, UseOf(record.job.creator()));
    if (!status.ok()) return status;
  }
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
    auto sequence = Insert(change);
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
  if (record.job.state() != v1::JOB_STATE_QUEUED) {
    if (record.attempt_active()) {
      record.job.set_waiting_reason(queue_view_.FindPending(record));
    }
    return std::move(record.job);
  }
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
  if (watch_.pending(id) && live->record.recorded_epoch == 0) {
    return StopPending(live, &effects);
  }
  if (live->record.attempt_active()) {
    // What a training measures and stores at its end, it finishes.
    const bool finishing =
        before == v1::JOB_STATE_STORING ||
        (before == v1::JOB_STATE_EVALUATING && KindOf(live->record.job) == JobKind::kTraining);
    if (!finishing) {
      watch_.TellToStop(id, with_.clock->Elapsed());
    }
    if (live->link != nullptr) effects.Add([link = live->link] { link->Stop(); });
    if (kick_) effects.Add(kick_);
  }
  return live->record.job;
}

absl::StatusOr<v1::TrainingJob> JobController::StopPending(LiveJob* live, Effects* effects) {
  JobChange change = Change(*live);
  if (auto status = StopEmptyAttempt(&change); !status.ok()) return status;
  WakeList dismissal = Dismissal(*live);
  if (auto status = Apply(std::move(change), live, effects); !status.ok()) return status;
  effects->Add(std::move(dismissal));
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

JobLoad JobController::Load() {
  MutexLock lock(&mutex_);
  return {.queued = scheduler_.queue().size(),
          .running = scheduler_.holders() - watch_.leaving(),
          .free_cores = scheduler_.free().cores,
          .total_cores = scheduler_.total().cores};
}

void JobController::SetKick(std::function<void()> kick) {
  MutexLock lock(&mutex_);
  kick_ = std::move(kick);
}

}  // namespace atelier::jobs
