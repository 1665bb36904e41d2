// Artifacts in a folder: `jobs/<job>/attempts/<n>/` and `models/<name>/<version>/model.tar.gz`, and
// `cache/datasets/`, which may be removed at any time.
#ifndef ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_
#define ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/jobs/artifact_store.h"

namespace atelier::store {

// Thread-safe: has no state but the file system's.
class FolderArtifactStore final : public jobs::ArtifactStore {
 public:
  // `root` is absolute.
  explicit FolderArtifactStore(absl::string_view root) : root_(root) {}

  std::string AttemptDir(absl::string_view job_id, int attempt) const override;
  std::string DatasetCacheDir() const override { return root_ + "/cache/datasets"; }
  // `worker.log` in the attempt's folder.
  absl::Status MakeAttemptDir(absl::string_view job_id, int attempt) override;
  absl::Status FreeAttemptsBefore(absl::string_view job_id, int first_kept) override;
  std::string LogPath(absl::string_view job_id, int attempt) const override;
  std::string TensorboardDir(absl::string_view job_id) const override;
  std::string ArchivePath(absl::string_view model, std::int64_t version) const override;
  absl::Status Publish(const jobs::Publication& publication) override;
  // Everything in the attempts' folders but worker.log goes.
  absl::Status FreeJob(absl::string_view job_id) override;
  absl::Status RemoveJob(absl::string_view job_id) override;
  absl::Status RemoveVersion(absl::string_view model, std::int64_t version) override;

 private:
  const std::string root_;
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_FOLDER_ARTIFACT_STORE_H_
