// The database: jobs, events, evaluations, models, data sets, experiments, notices. The only SQL.
//
// One connection writes, a few read beside it (write-ahead log), so that listing and replaying
// never wait for a commit. Every commit is on the disk before it answers (synchronous=FULL).
#ifndef ATELIER_SERVER_STORE_SQLITE_STORE_H_
#define ATELIER_SERVER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/experiment_store.h"
#include "server/jobs/job_store.h"
#include "server/jobs/model_store.h"
#include "server/jobs/notice_store.h"
#include "server/jobs/object_list.h"

namespace atelier::store {

class Connections;
class DatabaseSnapshot;

// Thread-safe.
class SqliteStore final : public jobs::JobStore,
                          public jobs::ModelStore,
                          public jobs::DatasetStore,
                          public jobs::ExperimentStore,
                          public jobs::NoticeStore,
                          public jobs::ObjectList {
 public:
  struct Options {
    int readers = 2;         // Connections for reading; at least 1.
    std::string notify_url;  // Told of every job's end; empty for none.
  };

  // Opens a database, makes it if it is missing, brings an older one up to date.
  // FAILED_PRECONDITION if a newer version of Atelier made it or it is no database of Atelier's,
  // DATA_LOSS if it is damaged, PERMISSION_DENIED or INTERNAL if it cannot be opened.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           Options options);
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path) {
    return Open(path, Options());
  }
  ~SqliteStore() override;

  // A copy of the database, to be made at `path`, as it is while `work` runs, during which nothing
  // is written: what `work` finds on the disk is what the copy's rows speak of. Errors of `work`.
  absl::StatusOr<std::unique_ptr<DatabaseSnapshot>> Snapshot(
      const std::string& path, const std::function<absl::Status()>& work);

  // jobs::JobStore
  absl::StatusOr<std::int64_t> Insert(const jobs::JobRecord& record,
                                      const std::vector<v1::JobEvent>& events) override;
  absl::StatusOr<jobs::JobRecord> Load(absl::string_view id) override;
  absl::StatusOr<std::optional<jobs::JobRecord>> FindByRequestId(
      absl::string_view creator, absl::string_view request_id) override;
  absl::StatusOr<std::optional<std::string>> FindDeletedByRequestId(absl::string_view creator,
                                                                    absl::string_view request_id,
                                                                    absl::Time now) override;
  absl::StatusOr<std::vector<jobs::JobRecord>> LoadUnfinished() override;
  absl::StatusOr<jobs::JobCounts> CountJobs() override;
  absl::StatusOr<jobs::JobPage> List(const jobs::JobQuery& query) override;
  absl::Status Commit(const jobs::JobUpdate& update) override;
  absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(absl::string_view id, std::int64_t after,
                                                       int limit, bool epochs_only) override;
  absl::StatusOr<v1::ConfusionMatrix> ReadConfusionMatrix(absl::string_view id) override;
  absl::StatusOr<v1::GetPredictionsResponse> ReadPredictions(
      absl::string_view id, const jobs::PredictionQuery& query) override;
  absl::Status Delete(absl::string_view id, absl::Time now) override;

  // jobs::ModelStore
  absl::StatusOr<v1::ListModelsResponse> ListModels(int page_size,
                                                    absl::string_view page_token) override;
  absl::StatusOr<v1::Model> GetModel(absl::string_view model, int page_size,
                                     absl::string_view page_token) override;
  absl::StatusOr<v1::ModelVersion> ResolveVersion(absl::string_view model,
                                                  absl::string_view reference) override;
  absl::StatusOr<v1::Model> SetAlias(absl::string_view model, absl::string_view alias,
                                     std::int64_t version, bool force,
                                     const jobs::AliasSetting& setting) override;
  absl::Status DeleteVersion(absl::string_view model, std::int64_t version, bool force) override;
  absl::StatusOr<std::vector<std::int64_t>> DeleteModel(absl::string_view model,
                                                        bool force) override;
  absl::StatusOr<jobs::LatestVerdict> JudgeLatest(const v1::ModelVersion& version) override;
  absl::StatusOr<std::int64_t> ModelBytesOf(absl::string_view creator) override;
  absl::StatusOr<std::int64_t> ReserveVersion(absl::string_view model) override;

  // jobs::DatasetStore
  absl::StatusOr<std::vector<v1::Dataset>> ListDatasets(absl::string_view from,
                                                        int page_size) override;
  absl::StatusOr<std::vector<std::string>> DatasetNames(int limit) override;
  absl::StatusOr<v1::Dataset> FindDataset(const jobs::DatasetReference& reference) override;
  absl::StatusOr<std::vector<v1::Dataset>> FindImported(absl::string_view dataset,
                                                        absl::string_view sha256) override;
  absl::StatusOr<std::vector<jobs::DatasetReference>> ListDatasetVersions() override;
  absl::StatusOr<std::int64_t> DatasetBytes() override;
  absl::StatusOr<std::int64_t> DatasetBytesOf(absl::string_view creator) override;
  absl::StatusOr<std::int64_t> ReserveDatasetVersion(absl::string_view dataset) override;
  absl::StatusOr<std::vector<std::int64_t>> DeleteDataset(const jobs::DatasetReference& reference,
                                                          bool force) override;

  // jobs::ExperimentStore
  absl::Status InsertExperiment(const jobs::ExperimentRecord& record,
                                const std::vector<jobs::RunRecord>& runs) override;
  absl::StatusOr<jobs::ExperimentRecord> LoadExperiment(absl::string_view id) override;
  absl::StatusOr<std::optional<jobs::ExperimentRecord>> FindExperimentByRequestId(
      absl::string_view creator, absl::string_view request_id) override;
  absl::StatusOr<std::optional<std::string>> FindDeletedExperimentByRequestId(
      absl::string_view creator, absl::string_view request_id, absl::Time now) override;
  absl::StatusOr<std::vector<std::string>> ListUnendedExperiments() override;
  absl::StatusOr<jobs::ExperimentPage> ListExperiments(int page_size,
                                                       absl::string_view page_token) override;
  absl::StatusOr<std::vector<jobs::RunRecord>> ReadRuns(absl::string_view id) override;
  absl::Status CommitExperiment(const jobs::ExperimentRecord& record,
                                const std::optional<std::string>& drop_waiting) override;
  absl::Status RefuseRun(absl::string_view id, int index, absl::string_view reason) override;
  absl::Status DeleteExperiment(absl::string_view id, absl::Time now) override;

  // jobs::NoticeStore
  absl::StatusOr<std::vector<jobs::Notice>> DueNotices(absl::Time now, int limit) override;
  absl::StatusOr<absl::Time> NextNoticeDue() override;
  absl::Status PostponeNotice(std::int64_t key, absl::Time due) override;
  absl::Status RemoveNotice(std::int64_t key) override;

  // jobs::ObjectList
  absl::Status AddObject(absl::string_view path, absl::string_view key, std::int64_t size_bytes,
                         absl::Time now) override;
  absl::Status DoomObjects(absl::string_view path_prefix, absl::Time now) override;
  absl::StatusOr<jobs::ObjectRecord> FindObject(absl::string_view path) override;
  absl::StatusOr<std::vector<jobs::ObjectRecord>> ListObjects(
      absl::string_view path_prefix) override;
  absl::StatusOr<std::vector<jobs::ObjectRecord>> DueObjects(absl::Time now, int limit) override;
  absl::StatusOr<absl::Time> NextObjectDue() override;
  absl::StatusOr<jobs::ObjectTotals> PendingObjects() override;
  absl::Status KeepUpload(const jobs::ObjectRecord& record) override;
  absl::Status ObjectStored(const jobs::ObjectRecord& record, absl::Time now) override;
  absl::Status PostponeObject(const jobs::ObjectRecord& record, absl::Time due) override;
  absl::Status RemoveObject(const jobs::ObjectRecord& record) override;
  absl::Status RequeueObjects(absl::Time now) override;
  absl::Status TouchObject(absl::string_view path, absl::Time now) override;
  absl::StatusOr<std::vector<jobs::ObjectRecord>> IdleObjects(absl::Time before) override;

 private:
  SqliteStore(std::unique_ptr<Connections> connections, Options options);

  const std::unique_ptr<Connections> connections_;
  const std::string notify_url_;
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_SQLITE_STORE_H_
