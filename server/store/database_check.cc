#include "server/store/database_check.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "atelier/v1/job.pb.h"
#include "server/jobs/attempt.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"
#include "server/store/connections.h"
#include "server/store/migrations.h"
#include "server/store/rows.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;

constexpr int kMostDamage = 20;
constexpr int kMostNotices = 1000;

// Answers with `work()`, or with what the exception that it threw means.
template <typename Work>
auto Guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return ToStatus(error);
  }
}

// A table or an index.
struct Part {
  std::string sql;
  std::string columns;  // Names and types; SQL itself differs by comments and blanks.
};

// The parts of a schema by kind and name. Those that SQLite keeps for itself are left out.
std::map<std::string, Part> SchemaOf(Database& database) {
  std::map<std::string, Part> parts;
  Statement select(database,
                   "SELECT type || ' ' || name, sql, CASE type WHEN 'table' THEN "
                   "(SELECT group_concat(name || ' ' || type) FROM pragma_table_info(m.name)) ELSE "
                   "(SELECT group_concat(name) FROM pragma_index_info(m.name)) END "
                   "FROM sqlite_master AS m "
                   "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'");
  while (select.executeStep()) {
    parts[select.getColumn(0).getString()] = {select.getColumn(1).getString(),
                                              select.getColumn(2).getString()};
  }
  return parts;
}

// As a database has it that took the first `steps` steps.
std::map<std::string, Part> SchemaAfter(int steps) {
  Database fresh(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  for (int i = 0; i < steps; ++i) fresh.exec(SchemaSteps()[static_cast<std::size_t>(i)]);
  return SchemaOf(fresh);
}

// Calls `told` with name, version and message of each row of a query; `full_name` names its
// message.
template <typename Message, typename Row>
absl::Status ForEach(Database& database, const char* query,
                     std::string (*full_name)(absl::string_view, std::int64_t), const Row& told) {
  Statement select(database, query);
  while (select.executeStep()) {
    Message message;
    const std::string name = select.getColumn(0).getString();
    const std::int64_t version = select.getColumn(1).getInt64();
    const bool readable =
        ParseVersion(select.getColumn(2), full_name(name, version), version, &message);
    told(name, version, readable ? &message : nullptr);
  }
  return absl::OkStatus();
}

}  // namespace

DatabaseCheck::DatabaseCheck(std::unique_ptr<Database> database) : database_(std::move(database)) {}

DatabaseCheck::~DatabaseCheck() = default;

absl::StatusOr<std::unique_ptr<DatabaseCheck>> DatabaseCheck::Open(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat("There is no database ", path, "."));
  }
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<DatabaseCheck>> {
    auto database = std::make_unique<Database>(path, SQLite::OPEN_READWRITE);
    if (auto status = CheckSchema(database.get(), SchemaSteps()); !status.ok()) return status;
    database->exec("PRAGMA synchronous = FULL");
    std::unique_ptr<DatabaseCheck> check(new DatabaseCheck(std::move(database)));
    check->schema_ = check->database_->execAndGet("PRAGMA user_version").getInt();
    return check;
  });
}

absl::StatusOr<std::vector<std::string>> DatabaseCheck::Damage() {
  return Guarded([&]() -> absl::StatusOr<std::vector<std::string>> {
    std::vector<std::string> damage;
    Statement integrity(*database_, absl::StrCat("PRAGMA integrity_check(", kMostDamage, ")"));
    while (integrity.executeStep()) {
      const std::string line = integrity.getColumn(0).getString();
      if (line != "ok") damage.push_back(line);
    }
    Statement references(*database_, "PRAGMA foreign_key_check");
    while (static_cast<int>(damage.size()) < kMostDamage && references.executeStep()) {
      damage.push_back(absl::StrCat("a row of ", references.getColumn(0).getString(),
                                    " belongs to none of ", references.getColumn(2).getString()));
    }
    return damage;
  });
}

absl::Status DatabaseCheck::Reindex() { return Execute("REINDEX"); }

absl::Status DatabaseCheck::Execute(const std::string& sql) {
  return Guarded([&] {
    database_->exec(sql);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<DatabaseCheck::SchemaFault>> DatabaseCheck::SchemaFaults() {
  return Guarded([&]() -> absl::StatusOr<std::vector<SchemaFault>> {
    const auto there = SchemaOf(*database_);
    std::vector<SchemaFault> faults;
    for (const auto& [name, part] : SchemaAfter(schema_)) {
      const auto found = there.find(name);
      const bool index = name.rfind("index ", 0) == 0;
      if (found == there.end()) {
        faults.push_back({absl::StrCat("the ", name, " is missing"), index ? part.sql : ""});
      } else if (found->second.columns != part.columns) {
        faults.push_back({absl::StrCat("the ", name, " has the columns ", found->second.columns,
                                       " in place of ", part.columns)});
      }
    }
    return faults;
  });
}

absl::Status DatabaseCheck::FindDamagedJobs(
    const std::function<void(const std::string&, const std::string&)>& told) {
  return Guarded([&] {
    Statement select(*database_, "SELECT id, job FROM jobs ORDER BY key");
    while (select.executeStep()) {
      jobs::JobRecord record;
      record.id = select.getColumn(0).getString();
      if (!ParseNamed(select.getColumn(1), jobs::JobName(record.id), &record.job)) {
        told(record.id, "cannot be read");
      } else if (!jobs::IsTerminal(record.job.state()) && !jobs::CheckUnended(record).ok()) {
        told(record.id, absl::StrCat("says ", jobs::StateWord(record.job.state()),
                                     ", which its attempts and transitions contradict"));
      }
    }
    return absl::OkStatus();
  });
}

absl::Status DatabaseCheck::ForEachModelVersion(const ModelRow& told) {
  return Guarded([&] {
    return ForEach<v1::ModelVersion>(
        *database_, "SELECT model, version, data FROM versions ORDER BY model, version",
        &jobs::ModelVersionName, told);
  });
}

absl::Status DatabaseCheck::ForEachDatasetVersion(const DatasetRow& told) {
  return Guarded([&] {
    if (!database_->tableExists("dataset_versions")) return absl::OkStatus();
    return ForEach<v1::Dataset>(*database_,
                                "SELECT dataset, version, data FROM dataset_versions "
                                "ORDER BY dataset, version",
                                &jobs::DatasetVersionName, told);
  });
}

absl::StatusOr<bool> DatabaseCheck::Has(const char* table, const char* query,
                                        absl::string_view name, std::int64_t version) {
  return Guarded([&]() -> absl::StatusOr<bool> {
    if (!database_->tableExists(table)) return false;
    Statement select(*database_, query);
    BindText(&select, 1, name);
    if (select.getBindParameterCount() > 1) select.bind(2, version);
    return select.executeStep();
  });
}

absl::StatusOr<bool> DatabaseCheck::HasJob(absl::string_view id) {
  return Has("jobs", "SELECT 1 FROM jobs WHERE id = ?", id, 0);
}

absl::StatusOr<bool> DatabaseCheck::HasModelVersion(absl::string_view model, std::int64_t version) {
  return Has("versions", "SELECT 1 FROM versions WHERE model = ? AND version = ?", model, version);
}

absl::StatusOr<bool> DatabaseCheck::HasDatasetVersion(absl::string_view dataset,
                                                      std::int64_t version) {
  return Has("dataset_versions", "SELECT 1 FROM dataset_versions WHERE dataset = ? AND version = ?",
             dataset, version);
}

absl::StatusOr<bool> DatabaseCheck::HasObject(absl::string_view path) {
  return Has("objects", "SELECT 1 FROM objects WHERE path = ? AND state = 1", path, 0);
}

absl::StatusOr<std::set<std::string>> DatabaseCheck::ReservedFolders() {
  return Guarded([&]() -> absl::StatusOr<std::set<std::string>> {
    std::set<std::string> folders;
    Statement select(*database_,
                     "SELECT job, reserved_version FROM jobs "
                     "WHERE files_freed = 0 AND reserved_version > 0");
    v1::TrainingJob job;
    while (select.executeStep()) {
      if (!ParseMessage(select.getColumn(0), &job)) continue;
      const std::int64_t version = select.getColumn(1).getInt64();
      folders.insert(job.has_import()
                         ? absl::StrCat("datasets/", job.import().dataset(), "/", version)
                         : absl::StrCat("models/", job.spec().model_name(), "/", version));
    }
    return folders;
  });
}

absl::StatusOr<std::vector<DatabaseCheck::StuckNotice>> DatabaseCheck::StuckNotices() {
  return Guarded([&]() -> absl::StatusOr<std::vector<StuckNotice>> {
    std::vector<StuckNotice> stuck;
    if (!database_->tableExists("notices")) return stuck;
    Statement select(*database_,
                     "SELECT notices.key, notices.job, due, data, jobs.state FROM notices "
                     "LEFT JOIN jobs ON jobs.id = notices.job ORDER BY notices.key");
    v1::TrainingJob job;
    while (static_cast<int>(stuck.size()) < kMostNotices && select.executeStep()) {
      const bool there = !select.getColumn(4).isNull();
      const bool ended =
          !there || jobs::IsTerminal(static_cast<v1::JobState>(select.getColumn(4).getInt()));
      const bool waits = select.getColumn(2).isNull();
      const bool readable =
          !select.getColumn(3).isNull() && ParseMessage(select.getColumn(3), &job);
      if (waits ? !ended : readable) continue;
      stuck.push_back(
          {select.getColumn(0).getInt64(),
           absl::StrCat("the notice ", select.getColumn(0).getInt64(), " of job ",
                        select.getColumn(1).getString(),
                        waits ? " waits for the end of a job that has ended" : " cannot be read"),
           there && ended});
    }
    return stuck;
  });
}

absl::Status DatabaseCheck::ReleaseNotice(std::int64_t key, absl::Time now) {
  return Guarded([&] {
    Statement release(*database_,
                      "UPDATE notices SET due = ?, "
                      "data = (SELECT job FROM jobs WHERE id = notices.job) WHERE key = ?");
    release.bind(1, absl::ToUnixMillis(now));
    release.bind(2, key);
    release.exec();
    return absl::OkStatus();
  });
}

}  // namespace atelier::store
