// JobController: what a request to train builds on.
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/jobs/derived_request.h"
#include "server/jobs/error.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {

namespace {

absl::Status NoCheckpoint(absl::string_view id) {
  return Error(absl::StatusCode::kFailedPrecondition, "NO_CHECKPOINT",
               absl::StrCat("No checkpoint of job ", id,
                            " is kept: it finished no epoch, is not one of the newest ended jobs "
                            "or ended before checkpoints were kept. A new training can start from "
                            "its model instead."));
}

}  // namespace

absl::StatusOr<ResolvedRequest> JobController::Resolve(const v1::StartTrainingRequest& request) {
  if (!request.continue_job().empty()) return ResolveContinued(request);
  if (request.has_more_epochs()) {
    return InvalidField("more_epochs",
                        "Epochs are added to a job that is continued only; give spec.epochs.");
  }
  v1::StartTrainingRequest whole = request;
  if (!request.like().empty()) {
    auto like = SpecificationOf(request.like());
    if (!like.ok()) return like.status();
    *whole.mutable_spec() = MergeLike(*std::move(like), request.spec());
  }
  auto resolved = with_.resolver->Resolve(whole);
  if (!resolved.ok()) return resolved;
  if (auto status = CheckArchive(resolved->spec.start_from()); !status.ok()) return status;
  return resolved;
}

absl::StatusOr<v1::TrainingSpec> JobController::SpecificationOf(const std::string& name) {
  if (absl::StartsWith(name, "models/")) {
    const auto reference = ParseModelName(name, "like");
    if (!reference.ok()) return reference.status();
    auto version = with_.models->ResolveVersion(reference->model, reference->version);
    if (!version.ok()) return version.status();
    return version->spec();
  }
  const auto id = ParseJobName(name, "like");
  if (!id.ok()) return id.status();
  auto record = with_.jobs->Load(*id);
  if (!record.ok()) return record.status();
  if (KindOf(record->job) != JobKind::kTraining) {
    return InvalidField("like", absl::StrCat("Job ", *id, " is ", TraitsOf(record->job).noun,
                                             "; name a training."));
  }
  return record->job.spec();
}

absl::StatusOr<ResolvedRequest> JobController::ResolveContinued(
    const v1::StartTrainingRequest& request) {
  if (!request.like().empty()) {
    return InvalidField("like", "A job is to be continued and one to be resembled; give one.");
  }
  const auto id = ParseJobName(request.continue_job(), "continue_job");
  if (!id.ok()) return id.status();
  const auto ended = with_.jobs->Load(*id);
  if (!ended.ok()) return ended.status();
  if (auto status = CheckContinuable(*ended); !status.ok()) return status;
  auto spec = MergeContinued(*ended, request);
  if (!spec.ok()) return spec.status();
  v1::StartTrainingRequest whole = request;
  *whole.mutable_spec() = *std::move(spec);
  auto resolved = with_.resolver->Resolve(whole);
  if (!resolved.ok()) return resolved;
  // What the ended job began with; frozen is what the new one says.
  v1::TrainingStart start = ended->job.start();
  *start.mutable_frozen_layers() = resolved->start.frozen_layers();
  start.set_continued_job(ended->job.name());
  start.set_continued_epochs(ended->recorded_epoch);
  resolved->start = std::move(start);
  return resolved;
}

absl::Status JobController::CheckContinuable(const JobRecord& record) {
  if (!IsTerminal(record.job.state())) {
    return Error(absl::StatusCode::kFailedPrecondition, "JOB_NOT_ENDED",
                 absl::StrCat("Job ", record.id, " is ", StateWord(record.job.state()),
                              "; only one that has ended can be continued."));
  }
  if (!with_.artifacts->HasCheckpoint(record.id)) return NoCheckpoint(record.id);
  const std::string& checksum = record.job.result().dataset_checksum();
  const auto now = with_.datasets->Checksum(record.job.spec().dataset());
  if (!checksum.empty() && now.has_value() && *now != checksum) {
    return Error(absl::StatusCode::kFailedPrecondition, "DATASET_CHANGED",
                 absl::StrCat("The files of the data set ", record.job.spec().dataset(),
                              " are not those that job ", record.id,
                              " was trained on; bring them back, or start a new training from its "
                              "model."));
  }
  return absl::OkStatus();
}

absl::Status JobController::CheckArchive(const std::string& version_name) {
  if (version_name.empty()) return absl::OkStatus();
  const auto reference = ParseModelName(version_name);
  if (!reference.ok()) return reference.status();
  const auto version = with_.models->ResolveVersion(reference->model, reference->version);
  if (!version.ok()) return version.status();
  const absl::Status status = with_.artifacts->CheckArchive(
      reference->model, version->version(), version->size_bytes(), version->sha256());
  if (status.ok()) return status;
  if (absl::IsUnavailable(status)) {
    return Error(
        absl::StatusCode::kUnavailable, "ARCHIVE_UNAVAILABLE",
        absl::StrCat("The archive of ", version->name(), " is not there: ", status.message()));
  }
  return Error(absl::StatusCode::kDataLoss, "ARCHIVE_DAMAGED",
               absl::StrCat("The archive of ", version->name(),
                            " cannot be used: ", absl::StripSuffix(status.message(), "."),
                            ". Choose another version, or bring the file back."));
}

absl::StatusOr<std::int64_t> JobController::Insert(const JobChange& change) {
  const JobUpdate& update = change.update();
  const std::string& continues = update.record.job.spec().continues();
  if (continues.empty()) return with_.jobs->Insert(update.record, update.events);
  const auto ended = ParseJobName(continues);
  if (!ended.ok()) return ended.status();
  // Before the job is there: none may be stored that cannot go on.
  const absl::Status handed = with_.artifacts->HandCheckpoint(*ended, update.record.id);
  if (absl::IsNotFound(handed)) return NoCheckpoint(*ended);
  if (!handed.ok()) return handed;
  auto sequence = with_.jobs->Insert(update.record, update.events);
  if (!sequence.ok()) with_.artifacts->RemoveJob(update.record.id).IgnoreError();
  return sequence;
}

}  // namespace atelier::jobs
