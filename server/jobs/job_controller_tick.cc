// JobController: what becomes due, and what becomes of processes.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/jobs/attempt.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

// Between two looks whether the files that jobs wait for are there.
constexpr absl::Duration kHold = absl::Seconds(1);
constexpr absl::Duration kBetweenLimits = absl::Seconds(1);

// 128 bits from the system's random source.
std::string DrawToken() {
  std::random_device source;
  std::string token;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&token, absl::Hex(source(), absl::kZeroPad8));
  return token;
}

// The files that the job reads and that the store may have to bring back.
std::vector<std::string> FilesOf(const JobRecord& record, const JobController::Dependencies& with) {
  std::vector<std::string> files;
  if (const std::string dataset = NeededDataset(record.job); !dataset.empty()) {
    const auto place = with.datasets->Find(dataset);
    if (place.ok() && !place->file.empty()) files.push_back(place->file);
  }
  const auto model = ParseModelName(NeededVersion(record.job));
  std::int64_t version = 0;
  if (model.ok() && absl::SimpleAtoi(model->version, &version)) {
    files.push_back(with.artifacts->ArchivePath(model->model, version));
  }
  return files;
}

}  // namespace

absl::Duration JobController::Tick() {
  const absl::Duration began = with_.clock->Elapsed();
  {
    Effects effects;
    MutexLock lock(&mutex_);
    EndOverdue(began, &effects);
    QueueHeld(began);
  }
  while (StartNext()) {
  }
  CleanUp();
  MutexLock lock(&mutex_);
  const absl::Duration now = with_.clock->Elapsed();
  watch_.Forgive(now - began);
  const absl::Duration wait = NextDue(now);
  watch_.ExpectCall(now + wait);
  return wait;
}

void JobController::EndOverdue(absl::Duration now, Effects* effects) {
  const WorkerWatch::Overdue overdue = watch_.TakeOverdue(now);
  for (const std::string& job : overdue.silent) {
    const ProcessEnd silence{.how = "no sign of life within its lease"};
    Lose(Find(job), watch_.exited(job).value_or(silence), effects);
  }
  for (const std::string& job : overdue.disobedient) {
    Lose(Find(job), {.how = "it was told to stop and did not"}, effects);
  }
  for (const std::string& handle : overdue.lingering) {
    effects->Add([executor = with_.executor, handle] { executor->Kill(handle); });
    scheduler_.Release(handle);
    attempts_changed_.NotifyAll();
  }
}

bool JobController::StartNext() {
  std::optional<LaunchRequest> request;
  {
    Effects effects;
    MutexLock lock(&mutex_);
    if (shutting_down_ || with_.clock->Elapsed() < watch_.next_start()) return false;
    request = PrepareLaunch(&effects);
    if (!request.has_value()) {
      ShowHead();
      return false;
    }
    watch_.BeginLaunch(request->job_id);
  }
  FinishLaunch(*request, Launch(*request));
  return true;
}

absl::StatusOr<Launched> JobController::Launch(const LaunchRequest& request) {
  auto made = with_.artifacts->MakeAttemptDir(request.job_id, request.attempt);
  if (!made.ok()) return made;
  return with_.executor->Launch(request);
}

std::optional<LaunchRequest> JobController::PrepareLaunch(Effects* effects) {
  while (auto grant = NextGrant()) {
    LiveJob* live = Find(grant->id);
    const JobRecord& record = live->record;
    queue_view_.Remove(record);
    ShowHead();
    absl::Status ready;
    if (const std::string dataset = NeededDataset(record.job); !dataset.empty()) {
      ready = with_.datasets->Find(dataset).status();
    }
    if (absl::IsNotFound(ready)) {
      scheduler_.Release(grant->id);
      ready = Fail(live, "BAD_DATA", DatasetGone(record).message(), effects);
      if (ready.ok()) continue;
    }
    if (!ready.ok()) {
      Postpone(live, ready, effects);
      return std::nullopt;
    }
    if (!FilesAreThere(live)) continue;
    // The token is on record before the process is there, so that the next server can find it if
    // this one ends before it has stored the attempt.
    JobChange change = Change(*live);
    change.record().token = DrawToken();
    if (auto status = Apply(std::move(change), live, effects); !status.ok()) {
      Postpone(live, status, effects);
      return std::nullopt;
    }
    const int attempt = record.attempt() + 1;
    const int nodes = NodesOf(record.job.spec());
    return LaunchRequest{.job_id = record.id,
                         .attempt = attempt,
                         .token = record.token,
                         .attempt_dir = with_.artifacts->AttemptDir(record.id, attempt),
                         .resources = {.cores = std::max(1, grant->resources.cores / nodes),
                                       .memory_bytes = NeedsOfNode(record.job).memory_bytes,
                                       .gpus = record.job.spec().device() == v1::DEVICE_CUDA,
                                       .nodes = nodes},
                         .arguments = EngineArguments(record.job.spec())};
  }
  return std::nullopt;
}

bool JobController::FilesAreThere(LiveJob* live) {
  std::string why;
  for (const std::string& file : FilesOf(live->record, with_)) {
    const auto there = with_.artifacts->Bring(file);
    if (!there.ok()) why = std::string(there.status().message());
    if (there.ok() && !*there) why = "A file that it reads is brought back from the object store.";
  }
  if (why.empty()) return true;
  // Others go on meanwhile.
  scheduler_.Release(live->record.id);
  live->waiting_reason = why;
  queue_view_.Add(live->record, why);
  if (held_.empty()) held_until_ = with_.clock->Elapsed() + kHold;
  held_.push_back(live->record.id);
  return false;
}

void JobController::QueueHeld(absl::Duration now) {
  if (held_.empty() || now < held_until_) return;
  for (const std::string& id : std::exchange(held_, {})) {
    LiveJob* live = Find(id);
    if (live == nullptr) continue;
    queue_view_.Remove(live->record);
    live->waiting_reason.clear();
    Enqueue(live->record);
  }
}

std::optional<Scheduler::Grant> JobController::NextGrant() {
  held_back_ = false;
  if (!quota_.limits()) return scheduler_.Next();
  absl::flat_hash_map<std::string, JobQuota::Use> uses;  // By creator, counted when it is needed.
  return scheduler_.Next([&](const QueuedJob& queued) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const JobRecord& record = Find(queued.id)->record;
    const std::string& creator = record.job.creator();
    if (!uses.contains(creator)) uses[creator] = UseOf(creator);
    const std::string why = quota_.WhyWait(creator, queued.cores, uses[creator]);
    queue_view_.SetReason(record, why);
    held_back_ |= !why.empty();
    return why.empty();
  });
}

void JobController::Postpone(LiveJob* live, const absl::Status& why, Effects* effects) {
  watch_.StartFailed(with_.clock->Elapsed());
  const int tries = watch_.failed_starts();
  live->waiting_reason =
      absl::StrCat("Its worker could not be started: ", absl::StripSuffix(why.message(), "."),
                   "; it is tried again (", tries,
                   tries == 1 ? " try failed so far)." : " tries failed so far).");
  scheduler_.Release(live->record.id);
  Enqueue(live->record);
  effects->Add([this, record = live->record, reason = live->waiting_reason] {
    observers_.NotStarted(record, reason);
  });
}

void JobController::FinishLaunch(const LaunchRequest& request, absl::StatusOr<Launched> launched) {
  Effects effects;
  MutexLock lock(&mutex_);
  const std::optional<LaunchStatus> told = watch_.EndLaunch(launched.ok() ? launched->handle : "");
  if (told.has_value()) launched->status = *told;
  const ProcessEnd* ended = launched.ok() ? std::get_if<ProcessEnd>(&launched->status) : nullptr;
  attempts_changed_.NotifyAll();
  // Stopped meanwhile, it may be gone.
  LiveJob* live = Find(request.job_id);
  absl::Status status = launched.status();
  if (launched.ok() && live != nullptr && !shutting_down_) {
    status = Begin(live, *launched, request.resources.cores * request.resources.nodes, &effects);
    if (status.ok() && ended != nullptr) {
      watch_.SetExited(request.job_id, *ended);
      Lose(live, *ended, &effects);
    }
    if (status.ok()) return;
  }
  scheduler_.Release(request.job_id);
  if (launched.ok() && ended == nullptr) {
    // Nobody wants it, or nobody would know it.
    effects.Add([executor = with_.executor, handle = launched->handle] { executor->Kill(handle); });
    const ResourceRequest& each = request.resources;
    AwaitExit(launched->handle,
              {.cores = each.nodes * each.cores, .memory_bytes = each.nodes * each.memory_bytes});
  }
  if (live == nullptr) return;
  if (status.ok()) return Enqueue(live->record);  // The server stops.
  if (absl::IsInvalidArgument(status)) {
    status = Fail(live, "REFUSED", status.message(), &effects);
    if (status.ok()) return;
  }
  Postpone(live, status, &effects);
}

absl::Status JobController::Begin(LiveJob* live, const Launched& launched, int cores,
                                  Effects* effects) {
  JobChange change = Change(*live);
  if (auto status = BeginAttempt(launched, cores, &change); !status.ok()) return status;
  if (auto status = Apply(std::move(change), live, effects); !status.ok()) return status;
  live->waiting_reason.clear();
  live->trimmed = live->record.attempt() == 1 && live->record.job.spec().continues().empty();
  watch_.Begin(live->record.id, launched.handle, with_.clock->Elapsed());
  Follow(live, launched.status, effects);
  return absl::OkStatus();
}

void JobController::Follow(LiveJob* live, const LaunchStatus& status, Effects* effects) {
  const std::string& id = live->record.id;
  std::string why;
  if (const auto* pending = std::get_if<LaunchPending>(&status)) {
    if (!watch_.Pend(id)) return;
    why = absl::StrCat("It waits: ", pending->why, ".");
  } else if (const auto* running = std::get_if<LaunchRunning>(&status)) {
    if (kick_ && watch_.pending(id)) effects->Add(kick_);
    watch_.Run(id, with_.clock->Elapsed());
    const v1::Attempt& attempt = live->record.job.attempts(live->record.attempt() - 1);
    if (!running->where.empty() && attempt.place() != running->where) {
      JobChange change = Change(*live);
      PlaceAttempt(running->where, &change);
      // Only for people: without it the attempt goes on as well.
      if (auto stored = Apply(std::move(change), live, effects); !stored.ok()) {
        Log(absl::StrCat("Where job ", id, " runs cannot be stored: ", stored.message()));
      }
    }
  }
  ShowWait(*live, why, effects);
}

void JobController::ShowWait(const LiveJob& live, const std::string& why, Effects* effects) {
  queue_view_.SetPending(live.record, why);
  effects->Add(with_.events->SetNote(live.record.id, why));
}

void JobController::OnLaunchStatus(const std::string& handle, const LaunchStatus& status) {
  Effects effects;
  MutexLock lock(&mutex_);
  const ProcessEnd* end = std::get_if<ProcessEnd>(&status);
  if (end == nullptr) {
    LiveJob* live = Find(watch_.JobOf(handle, status));
    if (live != nullptr) Follow(live, status, &effects);
    return;
  }
  const WorkerWatch::Exit exit = watch_.TakeExit(handle, *end);
  if (exit.was_leaving) {
    scheduler_.Release(handle);
    attempts_changed_.NotifyAll();
    if (kick_) effects.Add(kick_);
  } else if (LiveJob* live = Find(exit.job); live != nullptr && !watch_.storing(exit.job)) {
    Lose(live, *end, &effects);
  }
}

// What was published of a job that ended without a result.
absl::Status JobController::RemoveUnregistered(const JobRecord& record) {
  const v1::TrainingJob& job = record.job;
  if (job.has_result() || job.has_import_result()) return absl::OkStatus();
  return job.has_import()
             ? with_.artifacts->RemoveDataset(job.import().dataset(), record.reserved_version)
             : with_.artifacts->RemoveVersion(job.spec().model_name(), record.reserved_version);
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
    if (status.ok() && record.reserved_version != 0) status = RemoveUnregistered(record);
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
  absl::Duration due = watch_.NextDue(now);
  if (!scheduler_.queue().empty() && watch_.next_start() > now) {
    due = std::min(due, watch_.next_start());
  }
  if (!held_.empty()) due = std::min(due, held_until_);
  // Limits may change with the access file, of which nobody tells.
  if (held_back_) due = std::min(due, now + kBetweenLimits);
  if (!to_clean_.empty() || !to_trim_.empty()) due = now;
  return std::max(due - now, absl::ZeroDuration());
}

}  // namespace atelier::jobs
