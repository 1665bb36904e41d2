// JobController: imports, and what becomes of pushed data sets.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/jobs/canonical_request.h"
#include "server/jobs/error.h"
#include "server/jobs/import_request.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
absl::StatusOr<std::optional<v1::TrainingJob>> JobController::FindImport(
    const v1::ImportDatasetRequest& request, const std::string& creator) {
  return FindRepeat(creator, request.request_id(), Canonical(request));
}

absl::StatusOr<v1::TrainingJob> JobController::StartImport(const v1::ImportDatasetRequest& request,
                                                           const v1::Upload& upload,
                                                           const std::string& creator) {
  auto spec = ResolveImport(request, upload, with_.resolver->options());
  if (!spec.ok()) return spec.status();
  v1::TrainingJob job;
  *job.mutable_import() = *std::move(spec);
  job.set_creator(creator);
  return AcceptOther(std::move(job), request.request_id(), Canonical(request));
}

const JobController::LiveJob* JobController::FindSameImport(const v1::ImportSpec& spec) const {
  for (const auto& [id, live] : live_) {
    const v1::TrainingJob& job = live->record.job;
    if (job.has_import() && job.import().upload() == spec.upload() &&
        SameOptions(job.import().options(), spec.options()) && !live->record.stop_requested) {
      return live.get();
    }
  }
  return nullptr;
}

worker::v1::Assignment JobController::MakeImportAssignment(const LiveJob& live) {
  const JobRecord& record = live.record;
  // Where the store does not tell now, CheckDatasetSpace asks again at the end.
  const std::int64_t taken = with_.pushed_datasets->DatasetBytes().value_or(0);
  worker::v1::Assignment assignment;
  worker::v1::ImportAssignment* import = assignment.mutable_import();
  *import->mutable_spec() = record.job.import();
  import->mutable_spec()->set_cores(record.job.attempts(record.attempt() - 1).cores());
  import->set_source(absl::StrCat(with_.artifacts->UploadsDir(), "/",
                                  absl::StripPrefix(record.job.import().upload(), "uploads/"), "/",
                                  kUploadContent));
  import->set_max_bytes(std::max<std::int64_t>(1, options_.dataset_space - taken));
  return assignment;
}

absl::Status JobController::CheckDatasetSpace(std::int64_t size_bytes, const std::string& creator) {
  const auto taken = with_.pushed_datasets->DatasetBytes();
  if (!taken.ok()) return taken.status();
  // The upload, which goes once it is imported, does not count.
  if (auto status = quota_.CheckData(creator, 0, size_bytes); !status.ok()) return status;
  if (size_bytes <= options_.dataset_space - *taken) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, "DATASET_SPACE",
               absl::StrCat("The data set has ", size_bytes, " bytes; of the ",
                            options_.dataset_space, " for data sets (--dataset_space) ", *taken,
                            " are taken. Delete versions that are not needed."));
}

absl::Status JobController::DeleteDataset(const DatasetReference& reference, bool force) {
  const auto deleted = with_.pushed_datasets->DeleteDataset(reference, force);
  if (!deleted.ok()) return deleted.status();
  for (const std::int64_t version : *deleted) {
    const absl::Status removed = with_.artifacts->RemoveDataset(reference.dataset, version);
    // The next start of the server tries again.
    if (!removed.ok()) {
      Log(absl::StrCat("Files of data set ", reference.dataset, "@", version,
                       " cannot be removed: ", removed.message()));
    }
  }
  return absl::OkStatus();
}

void JobController::RemoveStrayDatasets() {
  auto kept = with_.pushed_datasets->ListDatasetVersions();
  if (kept.ok()) {
    MutexLock lock(&mutex_);
    for (const auto& [id, live] : live_) {
      const JobRecord& record = live->record;
      if (!record.job.has_import() || record.reserved_version == 0) continue;
      kept->push_back({record.job.import().dataset(), record.reserved_version});
    }
  }
  const absl::Status status = kept.ok() ? with_.artifacts->RemoveDatasetsBut(*kept) : kept.status();
  if (!status.ok()) {
    Log(absl::StrCat("Files of deleted data sets cannot be removed: ", status.message()));
  }
}

}  // namespace atelier::jobs
