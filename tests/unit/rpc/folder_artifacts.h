// Artifacts as files in a test's folder.
#ifndef ATELIER_TESTS_UNIT_RPC_FOLDER_ARTIFACTS_H_
#define ATELIER_TESTS_UNIT_RPC_FOLDER_ARTIFACTS_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/artifact_store.h"

namespace atelier::rpc {

class FolderArtifacts final : public jobs::ArtifactStore {
 public:
  explicit FolderArtifacts(std::string folder) : folder_(std::move(folder)) {}

  std::string AttemptDir(absl::string_view job_id, int attempt) const override {
    return absl::StrCat(folder_, "/", job_id, "-", attempt);
  }
  absl::Status MakeAttemptDir(absl::string_view, int) override { return absl::OkStatus(); }
  absl::Status FreeAttemptsBefore(absl::string_view, int) override { return absl::OkStatus(); }
  std::string LogPath(absl::string_view job_id, int attempt) const override {
    return AttemptDir(job_id, attempt) + ".log";
  }
  std::string TensorboardDir(absl::string_view job_id) const override {
    return absl::StrCat(folder_, "/", job_id, "-tensorboard");
  }
  std::string ArchivePath(absl::string_view model, std::int64_t version) const override {
    return absl::StrCat(folder_, "/", model, "-", version, ".tar.gz");
  }
  std::string DatasetPath(absl::string_view dataset, std::int64_t version) const override {
    return absl::StrCat(folder_, "/", dataset, "-", version, ".dataset");
  }
  std::string UploadsDir() const override { return folder_ + "/uploads"; }
  absl::Status RemoveDataset(absl::string_view, std::int64_t) override { return absl::OkStatus(); }
  absl::Status RemoveDatasetsBut(const std::vector<jobs::DatasetReference>&) override {
    return absl::OkStatus();
  }
  absl::Status Publish(const jobs::Publication&) override { return absl::OkStatus(); }
  absl::Status FreeJob(absl::string_view) override { return absl::OkStatus(); }
  bool HasCheckpoint(absl::string_view) override { return false; }
  absl::Status HandCheckpoint(absl::string_view, absl::string_view) override {
    return absl::NotFoundError("There is no checkpoint.");
  }
  absl::Status CheckArchive(absl::string_view, std::int64_t, std::int64_t,
                            absl::string_view) override {
    return absl::OkStatus();
  }
  absl::Status RemoveJob(absl::string_view) override { return absl::OkStatus(); }
  absl::Status RemoveVersion(absl::string_view model, std::int64_t version) override {
    if (std::filesystem::remove(ArchivePath(model, version))) return absl::OkStatus();
    return absl::InternalError("There is no such file.");
  }

  void WriteLog(const std::string& job, int attempt, const std::string& text) const {
    std::ofstream(LogPath(job, attempt), std::ios::app) << text << std::flush;
  }
  void WriteArchive(const std::string& model, std::int64_t version,
                    const std::string& bytes) const {
    std::ofstream(ArchivePath(model, version), std::ios::binary) << bytes << std::flush;
  }

 private:
  const std::string folder_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_TESTS_UNIT_RPC_FOLDER_ARTIFACTS_H_
