// Artifacts in a folder: `jobs/<job>/attempts/<n>/`, `models/<name>/<version>/model.tar.gz`,
// `datasets/<name>/<version>/packed.dataset`, `uploads/`, `checkpoints/<job>/` with the last
// checkpoints of the newest ended jobs, and `cache/datasets/`, which may be removed at any time.
#ifndef ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_
#define ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/jobs/artifact_store.h"

namespace atelier::store {

// Thread-safe: has no state but the file system's.
class FolderArtifactStore final : public jobs::ArtifactStore {
 public:
  // `root` is absolute. The last checkpoints of so many ended jobs are kept, the newest.
  explicit FolderArtifactStore(absl::string_view root, int kept_checkpoints = 20)
      : root_(root), kept_checkpoints_(kept_checkpoints) {}

  std::string AttemptDir(absl::string_view job_id, int attempt) const override;
  std::string DatasetCacheDir() const override { return root_ + "/cache/datasets"; }
  // `worker.log` in the attempt's folder.
  absl::Status MakeAttemptDir(absl::string_view job_id, int attempt) override;
  absl::StatusOr<std::string> Probe(absl::string_view job_id, int attempt) override;
  absl::Status FreeAttemptsBefore(absl::string_view job_id, int first_kept) override;
  std::string LogPath(absl::string_view job_id, int attempt) const override;
  std::string TensorboardDir(absl::string_view job_id) const override;
  std::string ArchivePath(absl::string_view model, std::int64_t version) const override;
  std::string DatasetPath(absl::string_view dataset, std::int64_t version) const override;
  std::string UploadsDir() const override { return root_ + "/uploads"; }
  absl::Status Publish(const jobs::Publication& publication) override;
  // Everything in the attempts' folders but worker.log goes; the last checkpoint is moved.
  absl::Status FreeJob(absl::string_view job_id) override;
  bool HasCheckpoint(absl::string_view job_id) override;
  absl::Status HandCheckpoint(absl::string_view ended_id, absl::string_view new_id) override;
  absl::Status CheckArchive(absl::string_view model, std::int64_t version, std::int64_t size_bytes,
                            absl::string_view sha256) override;
  absl::Status RemoveJob(absl::string_view job_id) override;
  absl::Status RemoveVersion(absl::string_view model, std::int64_t version) override;
  absl::Status RemoveDataset(absl::string_view dataset, std::int64_t version) override;
  absl::Status RemoveDatasetsBut(const std::vector<jobs::DatasetReference>& kept) override;

 private:
  std::string JobDir(absl::string_view job_id) const {
    return root_ + "/jobs/" + std::string(job_id);
  }
  std::string KeptDir(absl::string_view job_id) const;
  // Empty if there is none.
  std::filesystem::path LastCheckpoint(absl::string_view job_id) const;
  absl::Status KeepCheckpoint(absl::string_view job_id);
  absl::Status ForgetOldCheckpoints();
  absl::Status PublishModel(const std::string& source, const std::string& target,
                            std::int64_t size_bytes);
  absl::Status PublishDataset(const std::string& source, const std::string& target,
                              std::int64_t size_bytes);

  const std::string root_;
  const int kept_checkpoints_;
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_
