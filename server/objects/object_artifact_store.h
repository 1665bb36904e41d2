// Artifacts in a folder, and in an S3-compatible store what of them outlives a job: model archives,
// data sets, logs and last checkpoints. Whatever is to be there is put into a durable list first
// and uploaded in the background, so that the store may be away; the folder is then a cache of it.
//
// Keys, behind the prefix: `<job>/output/model.tar.gz`, `<job>/logs/<attempt>/worker.log`,
// `<job>/checkpoints/<file>`, `datasets/<name>/<version>/packed.dataset`, `registry.pb`,
// `atelier-server`.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_ARTIFACT_STORE_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_ARTIFACT_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/base/clock.h"
#include "server/base/tick_thread.h"
#include "server/http/curl_transport.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/model_store.h"
#include "server/jobs/object_list.h"
#include "server/objects/object_cache.h"
#include "server/objects/object_claim.h"
#include "server/objects/object_fetcher.h"
#include "server/objects/object_mover.h"
#include "server/objects/object_observer.h"
#include "server/objects/object_transfer.h"
#include "server/objects/s3_client.h"
#include "server/objects/s3_options.h"

namespace atelier::objects {

// Thread-safe.
class ObjectArtifactStore final : public jobs::ArtifactStore {
 public:
  struct Options {
    S3Options s3;
    std::string data_dir;   // Absolute; the folder of `local`.
    std::string server_id;  // As store::ServerId.
    int kept_checkpoints = 20;
    std::int64_t cache_bytes = 0;  // Of files that are in the store as well.
    Environment environment = &ProcessEnvironment;
    std::function<void(const std::string&)> log;  // Told a sentence; required.
  };
  // All but `local` must outlive it.
  struct Dependencies {
    const Clock* clock = nullptr;
    std::unique_ptr<jobs::ArtifactStore> local;
    jobs::ObjectList* list = nullptr;
    jobs::ModelStore* models = nullptr;
    jobs::DatasetStore* datasets = nullptr;
    ObjectObserver* observer = nullptr;
  };

  // FAILED_PRECONDITION with a sentence if the store refuses to be used; one that cannot be reached
  // is only warned of.
  static absl::StatusOr<std::unique_ptr<ObjectArtifactStore>> Create(Options options,
                                                                     Dependencies with);
  ~ObjectArtifactStore() override;

  std::string AttemptDir(absl::string_view job_id, int attempt) const override {
    return with_.local->AttemptDir(job_id, attempt);
  }
  absl::Status MakeAttemptDir(absl::string_view job_id, int attempt) override {
    return with_.local->MakeAttemptDir(job_id, attempt);
  }
  absl::StatusOr<std::string> Probe(absl::string_view job_id, int attempt) override {
    return with_.local->Probe(job_id, attempt);
  }
  absl::Status FreeAttemptsBefore(absl::string_view job_id, int attempt) override {
    return with_.local->FreeAttemptsBefore(job_id, attempt);
  }
  std::string DatasetCacheDir() const override { return with_.local->DatasetCacheDir(); }
  std::string LogPath(absl::string_view job_id, int attempt) const override {
    return with_.local->LogPath(job_id, attempt);
  }
  std::string TensorboardDir(absl::string_view job_id) const override {
    return with_.local->TensorboardDir(job_id);
  }
  std::string ArchivePath(absl::string_view model, std::int64_t version) const override {
    return with_.local->ArchivePath(model, version);
  }
  std::string DatasetPath(absl::string_view dataset, std::int64_t version) const override {
    return with_.local->DatasetPath(dataset, version);
  }
  std::string UploadsDir() const override { return with_.local->UploadsDir(); }

  bool KeepsElsewhere() const override { return true; }
  absl::StatusOr<bool> Bring(const std::string& path) override;
  absl::Status Fetch(const std::string& path) override;
  std::string UriOf(const jobs::Publication& publication) const override;
  void Stop() override { transport_.Stop(); }

  // The file at `path`, the registry for replicas, is another one and to be uploaded.
  absl::Status KeepRegistry(const std::string& path);

  absl::Status Publish(const jobs::Publication& publication) override;
  // Logs and the last checkpoint are to be uploaded.
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
  ObjectArtifactStore(Options options, Dependencies with);

  // Whether the store lets itself be used, within seconds.
  absl::Status FirstClaim();
  // Relative to the data directory; empty if it is not below that.
  std::string Relative(absl::string_view path) const;
  // The file is to be uploaded, by whoever ticks next. Nothing happens if it is not there.
  absl::Status Add(const std::string& path, absl::string_view key);
  void ReportPending();
  absl::Status AddNew(const std::string& path, absl::string_view key);
  absl::Status AddLogs(absl::string_view job_id);
  absl::Status KeepCheckpoint(absl::string_view job_id);
  absl::Status Doom(absl::string_view path_prefix);
  // Versions from before there was this object store.
  absl::Status AddKnown();
  absl::Status AddVersions(const v1::Model& model);

  const Options options_;
  const Dependencies with_;
  http::CurlTransport transport_;
  S3Client client_;
  ObjectTransfer transfer_;
  ObjectClaim claim_;
  ObjectCache cache_;
  ObjectMover mover_;
  ObjectFetcher fetcher_;
  std::unique_ptr<TickThread> thread_;  // Null while it is made.
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_ARTIFACT_STORE_H_
