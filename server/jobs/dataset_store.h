// The data sets that clients pushed: their versions, as rows. server/store implements it with
// SQLite; versions are registered by JobStore::Commit, together with the end of the job that made
// them.
#ifndef ATELIER_SERVER_JOBS_DATASET_STORE_H_
#define ATELIER_SERVER_JOBS_DATASET_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/dataset_service.pb.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {

// Thread-safe; calls wait for the disk, so none belongs on a gRPC thread. Store errors as in
// JobStore. Names are bare (`digits`, not `datasets/digits`).
class DatasetStore {
 public:
  virtual ~DatasetStore() = default;

  // The newest version of each data set, with the numbers of all its versions, sorted by name: from
  // `from` on as many as fit into a page of `page_size` (PageRoom), and one more.
  virtual absl::StatusOr<std::vector<v1::Dataset>> ListDatasets(absl::string_view from,
                                                                int page_size) = 0;

  // Names that a message lists.
  static constexpr int kNamed = 50;
  // The names of data sets, sorted, the first `limit`.
  virtual absl::StatusOr<std::vector<std::string>> DatasetNames(int limit) = 0;

  // A version, the newest if none is named, with the numbers of all. NOT_FOUND (DATASET_NOT_FOUND,
  // VERSION_NOT_FOUND).
  virtual absl::StatusOr<v1::Dataset> FindDataset(const DatasetReference& reference) = 0;

  // The versions of a data set that were made of an upload of this SHA-256, newest first.
  virtual absl::StatusOr<std::vector<v1::Dataset>> FindImported(absl::string_view dataset,
                                                                absl::string_view sha256) = 0;

  // Every version there is.
  virtual absl::StatusOr<std::vector<DatasetReference>> ListDatasetVersions() = 0;

  // Bytes of all versions together.
  virtual absl::StatusOr<std::int64_t> DatasetBytes() = 0;

  // Bytes of all versions that jobs of a creator made; reads all versions.
  virtual absl::StatusOr<std::int64_t> DatasetBytesOf(absl::string_view creator) = 0;

  // Takes the next version number of a data set, which need not exist yet. Never given again.
  virtual absl::StatusOr<std::int64_t> ReserveDatasetVersion(absl::string_view dataset) = 0;

  // Deletes a version, or all if none is named; the caller removes their files afterwards. Answers
  // with the versions it deleted. NOT_FOUND as FindDataset; FAILED_PRECONDITION (SEVERAL_VERSIONS)
  // for more than one version unless `force`, (DATASET_IN_USE) while a job or an experiment that
  // has not ended needs one.
  virtual absl::StatusOr<std::vector<std::int64_t>> DeleteDataset(const DatasetReference& reference,
                                                                  bool force) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_DATASET_STORE_H_
