#include "server/jobs/attempt.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/jobs/error.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

constexpr std::size_t kMaxMessage = 4096;  // Bytes kept of a worker's sentence.

// What becomes of a job that is tried again; a sentence's end.
absl::string_view GoesOn(const JobRecord& record) {
  return record.checkpointed ? "the job continues from its last checkpoint"
                             : TraitsOf(record.job).tried_again;
}

// What a stop leaves of a job that has nothing to keep; a sentence's end.
absl::string_view NothingKept(const JobRecord& record) { return TraitsOf(record.job).nothing_kept; }

std::string StoppedByRequest(const JobRecord& record) {
  return absl::StrCat("Stopped by request ", NothingKept(record), ".");
}

void EndAttempt(absl::string_view reason, JobChange* change) {
  v1::TrainingJob& job = change->record().job;
  v1::Attempt* attempt = job.mutable_attempts(job.attempts_size() - 1);
  *attempt->mutable_end_time() = ToTimestamp(change->now());
  attempt->set_end_reason(std::string(reason));
}

// Stops for want of anything to keep.
absl::Status EnterStopped(absl::string_view message, JobChange* change) {
  return change->Enter(v1::JOB_STATE_STOPPED, "STOP_REQUESTED", message);
}

// What an outcome says of single images, to be stored with the job.
template <typename Outcome>
void SetEvaluation(const Outcome& outcome, JobChange* change) {
  Evaluation& evaluation = change->update().evaluation.emplace();
  evaluation.confusion_matrix = outcome.confusion_matrix();
  evaluation.confusion_matrix.set_job(change->record().job.name());
  evaluation.predictions.assign(outcome.predictions().begin(), outcome.predictions().end());
}

v1::ModelVersion MakeVersion(const worker::v1::Outcome& outcome, const JobChange& change) {
  const JobRecord& record = change.record();
  v1::ModelVersion version;
  version.set_name(record.job.result().model_version());
  version.set_version(record.reserved_version);
  version.set_job(record.job.name());
  *version.mutable_create_time() = ToTimestamp(change.now());
  *version.mutable_spec() = record.job.spec();
  *version.mutable_result() = record.job.result();
  *version.mutable_class_names() = outcome.confusion_matrix().class_names();
  if (outcome.image_shape_size() == 3) {
    version.mutable_image_shape()->set_channels(outcome.image_shape(0));
    version.mutable_image_shape()->set_height(outcome.image_shape(1));
    version.mutable_image_shape()->set_width(outcome.image_shape(2));
  }
  version.set_size_bytes(outcome.size_bytes());
  version.set_sha256(outcome.sha256());
  version.set_creator(record.job.creator());
  return version;
}

}  // namespace

bool WaitsForCores(const JobRecord& record) {
  return !record.attempt_active() && (record.job.state() == v1::JOB_STATE_QUEUED ||
                                      record.job.state() == v1::JOB_STATE_STOPPING);
}

absl::Status CheckUnended(const JobRecord& record) {
  const v1::JobState state = record.job.state();
  const bool known = v1::JobState_IsValid(state) && state != v1::JOB_STATE_UNSPECIFIED;
  const bool runs = record.attempt_active() && state != v1::JOB_STATE_QUEUED;
  if (known && (runs || WaitsForCores(record)) && record.job.transitions_size() > 0) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
               absl::StrCat("The server's database is damaged: job ", record.id, " is ",
                            StateWord(state), ", which its attempts and transitions contradict."));
}

absl::Status RequestStop(JobChange* change) {
  change->record().stop_requested = true;
  if (change->state() == v1::JOB_STATE_QUEUED && change->record().recorded_epoch == 0) {
    return EnterStopped(StoppedByRequest(change->record()), change);
  }
  return change->Enter(v1::JOB_STATE_STOPPING, "STOP_REQUESTED",
                       TraitsOf(change->record().job).stopping);
}

absl::Status BeginAttempt(const Launched& launched, int cores, JobChange* change) {
  JobRecord& record = change->record();
  v1::Attempt* attempt = record.job.add_attempts();
  attempt->set_number(record.attempt());
  *attempt->mutable_start_time() = ToTimestamp(change->now());
  attempt->set_cores(cores);
  record.handle = launched.handle;
  record.acknowledged = 0;
  record.positioned = false;
  if (change->state() == v1::JOB_STATE_STOPPING) return absl::OkStatus();
  const std::string on = absl::StrCat(cores, cores == 1 ? " core" : " cores");
  const auto* pending = std::get_if<LaunchPending>(&launched.status);
  return change->Enter(v1::JOB_STATE_STARTING, "SCHEDULED",
                       pending == nullptr
                           ? absl::StrCat("Attempt ", record.attempt(), " is started on ", on, ".")
                           : absl::StrCat("Attempt ", record.attempt(), " waits for ", on, ": ",
                                          ClipText(pending->why, kMaxMessage), "."));
}

void PlaceAttempt(const std::string& place, JobChange* change) {
  v1::TrainingJob& job = change->record().job;
  job.mutable_attempts(job.attempts_size() - 1)->set_place(ClipText(place, kMaxMessage));
}

absl::Status Advance(v1::JobState state, JobChange* change) {
  if (change->state() == v1::JOB_STATE_STOPPING) return absl::OkStatus();
  const v1::TrainingJob& job = change->record().job;
  const absl::Span<const v1::JobState> course = TraitsOf(job).course;
  const auto target = std::find(course.begin(), course.end(), state);
  if (target == course.end()) {
    return absl::InvalidArgumentError(absl::StrCat("Job ", change->record().id, ", ",
                                                   TraitsOf(job).noun, ", has no state ",
                                                   StateWord(state), "."));
  }
  auto here = std::find(course.begin(), course.end(), change->state());
  while (here < target) {
    here = CanTransition(*here, *target) ? target : here + 1;
    const auto entered = change->Enter(*here, StateWord(*here), StateSentence(job, *here));
    if (!entered.ok()) return entered;
  }
  return absl::OkStatus();
}

absl::Status LoseAttempt(absl::string_view how, int max_lost, JobChange* change) {
  JobRecord& record = change->record();
  EndAttempt("WORKER_LOST", change);
  const int lost = ++record.lost_attempts;
  const std::string what = absl::StrCat("The worker of attempt ", record.attempt(), " was lost (",
                                        ClipText(how, kMaxMessage), ")");
  if (record.stop_requested) {
    if (record.recorded_epoch == 0) {
      return EnterStopped(absl::StrCat(what, " ", NothingKept(record), "."), change);
    }
    if (lost <= max_lost) return absl::OkStatus();
    return EnterStopped(absl::StrCat(what, "; no model could be stored in ", lost, " attempts."),
                        change);
  }
  if (lost <= max_lost) {
    return change->Enter(
        v1::JOB_STATE_QUEUED, "WORKER_LOST",
        absl::StrCat(what, "; ", GoesOn(record), " (", lost, " of ", max_lost, ")."));
  }
  return change->Enter(v1::JOB_STATE_FAILED, "WORKER_LOST",
                       absl::StrCat(what, "; that was the last of ", lost, " tries."));
}

absl::Status SuspendAttempt(absl::string_view reason, absl::string_view what, JobChange* change) {
  EndAttempt(reason, change);
  if (!change->record().stop_requested) {
    return change->Enter(v1::JOB_STATE_QUEUED, reason,
                         absl::StrCat(what, "; ", GoesOn(change->record()), "."));
  }
  if (change->record().recorded_epoch > 0) return absl::OkStatus();
  return EnterStopped(StoppedByRequest(change->record()), change);
}

absl::Status FailAttempt(absl::string_view reason, absl::string_view message, JobChange* change) {
  if (change->record().attempt_active()) EndAttempt(reason, change);
  return change->Enter(v1::JOB_STATE_FAILED, reason, ClipText(message, kMaxMessage));
}

absl::Status StopEmptyAttempt(JobChange* change) {
  EndAttempt("STOP_REQUESTED", change);
  return EnterStopped(StoppedByRequest(change->record()), change);
}

absl::Status FinishImport(const worker::v1::ImportOutcome& outcome, JobChange* change) {
  JobRecord& record = change->record();
  if (record.stop_requested) return StopEmptyAttempt(change);
  const v1::ImportSpec& spec = record.job.import();
  v1::ImportResult* result = record.job.mutable_import_result();
  *result = outcome.result();
  result->set_dataset_version(DatasetVersionName(spec.dataset(), record.reserved_version));

  v1::Dataset& version = change->update().dataset_version.emplace(outcome.dataset());
  version.set_name(result->dataset_version());
  version.set_version(record.reserved_version);
  *version.mutable_create_time() = ToTimestamp(change->now());
  version.set_job(record.job.name());
  version.set_creator(record.job.creator());
  version.set_unreadable_count(result->unreadable_count());
  v1::DatasetSource* source = version.mutable_source();
  source->set_name(spec.source_name());
  source->set_size_bytes(spec.size_bytes());
  source->set_sha256(spec.sha256());
  *source->mutable_options() = spec.options();

  v1::JobEvent event;
  *event.mutable_import_result() = *result;
  change->Append(std::move(event));
  EndAttempt("COMPLETED", change);
  return change->Enter(v1::JOB_STATE_COMPLETED, "COMPLETED",
                       absl::StrCat("The data set is stored as ", result->dataset_version(), "."));
}

absl::Status FinishScoring(const worker::v1::ScoringOutcome& outcome, JobChange* change) {
  JobRecord& record = change->record();
  if (record.stop_requested) return StopEmptyAttempt(change);
  v1::JobEvent event;
  if (outcome.has_evaluation()) {
    *record.job.mutable_evaluation_result() = outcome.evaluation();
    *event.mutable_evaluation_result() = outcome.evaluation();
  } else {
    *record.job.mutable_check_result() = outcome.check();
    *event.mutable_check_result() = outcome.check();
  }
  SetEvaluation(outcome, change);
  change->Append(std::move(event));
  EndAttempt("COMPLETED", change);
  return change->Enter(
      v1::JOB_STATE_COMPLETED, "COMPLETED",
      outcome.has_evaluation() ? "The model is evaluated." : "The data set is checked.");
}

absl::Status FinishAttempt(const worker::v1::Outcome& outcome, const LatestJudge& judge,
                           JobChange* change) {
  JobRecord& record = change->record();
  v1::TrainingResult* result = record.job.mutable_result();
  *result = outcome.result();
  if (record.job.has_start()) *result->mutable_start() = record.job.start();
  result->set_model_version(
      ModelVersionName(record.job.spec().model_name(), record.reserved_version));

  JobUpdate& update = change->update();
  update.model_version = MakeVersion(outcome, *change);
  const LatestVerdict verdict = judge(*update.model_version);
  std::string stays;
  if (!verdict.moves && verdict.latest != 0) {
    stays = absl::StrCat("; latest stays at version ", verdict.latest, ", since ", verdict.why);
  }
  if (verdict.other_kind) {
    result->add_warnings(absl::StrCat(result->model_version(), " is stored", stays, "."));
    *update.model_version->mutable_result() = *result;
  }
  SetEvaluation(outcome, change);

  v1::JobEvent event;
  *event.mutable_result() = *result;
  change->Append(std::move(event));
  if (record.stop_requested && !outcome.has_failure()) {
    EndAttempt("STOP_REQUESTED", change);
    return EnterStopped(
        absl::StrCat("Stopped by request; the model is stored as ", result->model_version(), "."),
        change);
  }
  if (outcome.has_failure()) {
    return FailAttempt(outcome.failure().reason(),
                       absl::StrCat(ClipText(outcome.failure().message(), kMaxMessage),
                                    " The weights of epoch ", result->best_epoch(),
                                    ", the best, are stored as ", result->model_version(), "."),
                       change);
  }
  EndAttempt("COMPLETED", change);
  return change->Enter(
      v1::JOB_STATE_COMPLETED, "COMPLETED",
      absl::StrCat("The model is stored as ", result->model_version(), stays, "."));
}

}  // namespace atelier::jobs
