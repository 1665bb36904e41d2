// Looks through the database of a data directory that no server uses, and mends what can be mended
// from the database itself. Reads databases of earlier versions as they are.
#ifndef ATELIER_SERVER_STORE_DATABASE_CHECK_H_
#define ATELIER_SERVER_STORE_DATABASE_CHECK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/model_service.pb.h"

namespace SQLite {
class Database;
}

namespace atelier::store {

// Not thread-safe. Errors: DATA_LOSS (DATABASE_DAMAGED) where it cannot be read.
class DatabaseCheck {
 public:
  // NOT_FOUND if there is no such file; else as SqliteStore::Open.
  static absl::StatusOr<std::unique_ptr<DatabaseCheck>> Open(const std::string& path);
  ~DatabaseCheck();
  DatabaseCheck(const DatabaseCheck&) = delete;
  DatabaseCheck& operator=(const DatabaseCheck&) = delete;

  // How many steps of the schema it has taken.
  int schema() const { return schema_; }

  // What SQLite itself finds, and references without their rows: a sentence each, the first 20.
  absl::StatusOr<std::vector<std::string>> Damage();
  // Makes all indexes anew.
  absl::Status Reindex();

  // Parts of the schema that are missing or other than they should be; `sql` makes a missing index,
  // empty for what cannot be made.
  struct SchemaFault {
    std::string what;
    std::string sql = {};
  };
  absl::StatusOr<std::vector<SchemaFault>> SchemaFaults();
  absl::Status Execute(const std::string& sql);

  // Each row of a job that cannot be read, or with which no server would start: `told` gets the
  // job's id and the fault, as the end of a sentence.
  absl::Status FindDamagedJobs(
      const std::function<void(const std::string& id, const std::string& fault)>& told);

  // Each version of a model, or of a data set. `data` is null for a row that cannot be read.
  using ModelRow = std::function<void(const std::string& model, std::int64_t version,
                                      const v1::ModelVersion* data)>;
  using DatasetRow = std::function<void(const std::string& dataset, std::int64_t version,
                                        const v1::Dataset* data)>;
  absl::Status ForEachModelVersion(const ModelRow& told);
  absl::Status ForEachDatasetVersion(const DatasetRow& told);

  // Whether there is such a row.
  absl::StatusOr<bool> HasJob(absl::string_view id);
  absl::StatusOr<bool> HasModelVersion(absl::string_view model, std::int64_t version);
  absl::StatusOr<bool> HasDatasetVersion(absl::string_view dataset, std::int64_t version);

  // Whether a file, named relative to the data directory, is in an object store, verified.
  absl::StatusOr<bool> HasObject(absl::string_view path);

  // Folders, such as `models/cnn-1/3`, that jobs which have not ended may have filled already.
  absl::StatusOr<std::set<std::string>> ReservedFolders();

  // A notice that would never be sent.
  struct StuckNotice {
    std::int64_t key = 0;
    std::string what;
    bool mendable = false;  // Its job is there.
  };
  absl::StatusOr<std::vector<StuckNotice>> StuckNotices();
  // The notice is due, with its job as it ended.
  absl::Status ReleaseNotice(std::int64_t key, absl::Time now);

 private:
  explicit DatabaseCheck(std::unique_ptr<SQLite::Database> database);
  absl::StatusOr<bool> Has(const char* table, const char* query, absl::string_view name,
                           std::int64_t version);

  const std::unique_ptr<SQLite::Database> database_;
  int schema_ = 0;
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_DATABASE_CHECK_H_
