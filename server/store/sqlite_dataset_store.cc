// SqliteStore: versions of pushed data sets.
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/store/connections.h"
#include "server/store/dataset_rows.h"
#include "server/store/needs.h"
#include "server/store/object_rows.h"
#include "server/store/rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using jobs::DatasetReference;
using SQLite::Database;
using SQLite::Statement;

// Ascending; none if there is no such data set.
std::vector<std::int64_t> VersionsOf(Database& database, absl::string_view dataset) {
  Statement select(database,
                   "SELECT version FROM dataset_versions WHERE dataset = ? ORDER BY version");
  BindText(&select, 1, dataset);
  std::vector<std::int64_t> versions;
  while (select.executeStep()) versions.push_back(select.getColumn(0).getInt64());
  return versions;
}

// A row's column `data`.
v1::Dataset ReadData(const SQLite::Column& data, const DatasetReference& row) {
  v1::Dataset version;
  const std::string name = jobs::DatasetVersionName(row.dataset, row.version);
  Demand(ParseVersion(data, name, row.version, &version));
  return version;
}

v1::Dataset ReadVersion(Database& database, const DatasetReference& reference) {
  Statement select(database, "SELECT data FROM dataset_versions WHERE dataset = ? AND version = ?");
  BindText(&select, 1, reference.dataset);
  select.bind(2, reference.version);
  return select.executeStep() ? ReadData(select.getColumn(0), reference) : v1::Dataset();
}

absl::Status NoDataset(absl::string_view dataset) {
  return jobs::Error(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                     absl::StrCat("No data set ", dataset, " was pushed."));
}

// The versions that a reference names, of which there is at least one.
absl::StatusOr<std::vector<std::int64_t>> Named(const DatasetReference& reference,
                                                std::vector<std::int64_t> versions) {
  if (versions.empty()) return NoDataset(reference.dataset);
  if (reference.version == 0) return versions;
  for (const std::int64_t version : versions) {
    if (version == reference.version) return std::vector<std::int64_t>{version};
  }
  return jobs::Error(absl::StatusCode::kNotFound, "VERSION_NOT_FOUND",
                     absl::StrCat("The data set ", reference.dataset, " has no version ",
                                  reference.version, "; the newest is ", versions.back(), "."));
}

}  // namespace

void RegisterDataset(Database& database, const v1::Dataset& version) {
  const auto name = jobs::ParseDatasetName(version.name());
  if (!name.ok()) throw SQLite::Exception("a data set's name cannot be read");
  Statement insert(
      database,
      "INSERT INTO dataset_versions (dataset, version, size_bytes, source_sha256, data) "
      "VALUES (?, ?, ?, ?, ?)");
  BindText(&insert, 1, name->dataset);
  insert.bind(2, name->version);
  insert.bind(3, version.size_bytes());
  BindText(&insert, 4, version.source().sha256());
  BindMessage(&insert, 5, version);
  insert.exec();
}

absl::StatusOr<std::vector<v1::Dataset>> SqliteStore::ListDatasets(absl::string_view from,
                                                                   int page_size) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<v1::Dataset>> {
    Statement select(database,
                     "SELECT dataset, max(version) FROM dataset_versions WHERE dataset >= ? "
                     "GROUP BY dataset ORDER BY dataset LIMIT ?");
    BindText(&select, 1, from);
    select.bind(2, page_size + 1);
    std::vector<v1::Dataset> datasets;
    jobs::PageRoom room(page_size);
    for (bool fits = true; fits && select.executeStep();) {
      const DatasetReference newest = {select.getColumn(0).getString(),
                                       select.getColumn(1).getInt64()};
      v1::Dataset& dataset = datasets.emplace_back(ReadVersion(database, newest));
      for (const std::int64_t version : VersionsOf(database, newest.dataset)) {
        dataset.add_versions(version);
      }
      fits = room.Take(dataset.ByteSizeLong());
    }
    return datasets;
  });
}

absl::StatusOr<std::vector<std::string>> SqliteStore::DatasetNames(int limit) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<std::string>> {
    Statement select(database,
                     "SELECT DISTINCT dataset FROM dataset_versions ORDER BY dataset LIMIT ?");
    select.bind(1, limit);
    std::vector<std::string> names;
    while (select.executeStep()) names.push_back(select.getColumn(0).getString());
    return names;
  });
}

absl::StatusOr<v1::Dataset> SqliteStore::FindDataset(const DatasetReference& reference) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<v1::Dataset> {
    const auto all = VersionsOf(database, reference.dataset);
    const auto named = Named(reference, all);
    if (!named.ok()) return named.status();
    v1::Dataset dataset = ReadVersion(database, {reference.dataset, named->back()});
    for (const std::int64_t version : all) dataset.add_versions(version);
    return dataset;
  });
}

absl::StatusOr<std::vector<v1::Dataset>> SqliteStore::FindImported(absl::string_view dataset,
                                                                   absl::string_view sha256) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<v1::Dataset>> {
    Statement select(database,
                     "SELECT data, version FROM dataset_versions WHERE dataset = ? AND "
                     "source_sha256 = ? ORDER BY version DESC");
    BindText(&select, 1, dataset);
    BindText(&select, 2, sha256);
    std::vector<v1::Dataset> found;
    while (select.executeStep()) {
      found.push_back(
          ReadData(select.getColumn(0), {std::string(dataset), select.getColumn(1).getInt64()}));
    }
    return found;
  });
}

absl::StatusOr<std::vector<DatasetReference>> SqliteStore::ListDatasetVersions() {
  return connections_->Read(
      [&](Database& database) -> absl::StatusOr<std::vector<DatasetReference>> {
        Statement select(database, "SELECT dataset, version FROM dataset_versions");
        std::vector<DatasetReference> versions;
        while (select.executeStep()) {
          versions.push_back({select.getColumn(0).getString(), select.getColumn(1).getInt64()});
        }
        return versions;
      });
}

absl::StatusOr<std::int64_t> SqliteStore::DatasetBytes() {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement select(database, "SELECT coalesce(sum(size_bytes), 0) FROM dataset_versions");
    select.executeStep();
    return select.getColumn(0).getInt64();
  });
}

absl::StatusOr<std::int64_t> SqliteStore::DatasetBytesOf(absl::string_view creator) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement select(database, "SELECT data, size_bytes FROM dataset_versions");
    std::int64_t bytes = 0;
    v1::Dataset version;
    while (select.executeStep()) {
      ReadMessage(select.getColumn(0), &version);
      if (version.creator() == creator) bytes += select.getColumn(1).getInt64();
    }
    return bytes;
  });
}

absl::StatusOr<std::int64_t> SqliteStore::ReserveDatasetVersion(absl::string_view dataset) {
  return connections_->Write([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement next(database,
                   "INSERT INTO datasets (name, last_version) VALUES (?, 1) ON CONFLICT (name) "
                   "DO UPDATE SET last_version = last_version + 1 RETURNING last_version");
    BindText(&next, 1, dataset);
    next.executeStep();
    const std::int64_t version = next.getColumn(0).getInt64();
    while (next.executeStep()) {
    }
    return version;
  });
}

absl::StatusOr<std::vector<std::int64_t>> SqliteStore::DeleteDataset(
    const DatasetReference& reference, bool force) {
  return connections_->Write([&](Database& database) -> absl::StatusOr<std::vector<std::int64_t>> {
    auto named = Named(reference, VersionsOf(database, reference.dataset));
    if (!named.ok()) return named.status();
    if (named->size() > 1 && !force) {
      return jobs::Error(absl::StatusCode::kFailedPrecondition, "SEVERAL_VERSIONS",
                         absl::StrCat("The data set ", reference.dataset, " has ", named->size(),
                                      " versions; name one, or force the deletion of all."));
    }
    const auto needs = [&](const Needed& needed) {
      const auto used = jobs::ParseDatasetReference(needed.dataset);
      return used.has_value() && used->version != 0 && used->dataset == reference.dataset &&
             (reference.version == 0 || used->version == reference.version);
    };
    if (auto status = CheckUnneeded(database, "DATASET_IN_USE",
                                    absl::StrCat("The data set ", reference.Text()), needs);
        !status.ok()) {
      return status;
    }
    Statement remove(database, "DELETE FROM dataset_versions WHERE dataset = ? AND version = ?");
    for (const std::int64_t version : *named) {
      BindText(&remove, 1, reference.dataset);
      remove.bind(2, version);
      remove.exec();
      remove.reset();
      DoomDataset(database, reference.dataset, version);
    }
    return named;
  });
}

}  // namespace atelier::store
