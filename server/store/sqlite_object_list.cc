// SqliteStore: which files have copies in an object store.
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"
#include "server/store/connections.h"
#include "server/store/needs.h"
#include "server/store/object_rows.h"
#include "server/store/rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using jobs::ObjectRecord;
using SQLite::Database;
using SQLite::Statement;

constexpr const char kObjectColumns[] =
    "path, object, state, generation, size_bytes, part_bytes, digests, upload, tries";

ObjectRecord ReadObject(Statement* row) {
  ObjectRecord record;
  int i = 0;
  record.path = row->getColumn(i++).getString();
  record.key = row->getColumn(i++).getString();
  record.state = static_cast<ObjectRecord::State>(row->getColumn(i++).getInt());
  record.generation = row->getColumn(i++).getInt64();
  record.size_bytes = row->getColumn(i++).getInt64();
  record.part_bytes = row->getColumn(i++).getInt64();
  record.digests = row->getColumn(i++).getString();
  record.upload = row->getColumn(i++).getString();
  record.tries = row->getColumn(i++).getInt();
  return record;
}

std::vector<ObjectRecord> ReadObjects(Statement* rows) {
  std::vector<ObjectRecord> records;
  while (rows->executeStep()) records.push_back(ReadObject(rows));
  return records;
}

std::string SelectObjects(absl::string_view condition) {
  return absl::StrCat("SELECT ", kObjectColumns, " FROM objects ", condition);
}

// Paths that begin with `prefix` are those from it on to this one.
std::string EndOf(absl::string_view prefix) { return absl::StrCat(prefix, "\xff"); }

// Binds what identifies a record, from `index` on, for `WHERE path = ? AND generation = ?`.
void BindIdentity(Statement* statement, int index, const ObjectRecord& record) {
  BindText(statement, index, record.path);
  statement->bind(index + 1, record.generation);
}

// Paths of files that jobs need which have not ended.
std::set<std::string> NeededPaths(Database& database) {
  std::set<std::string> paths;
  Statement rows(database, "SELECT job FROM jobs WHERE files_freed = 0");
  while (rows.executeStep()) {
    v1::TrainingJob job;
    ReadMessage(rows.getColumn(0), &job);
    if (jobs::IsTerminal(job.state())) continue;
    const Needed needed = NeededBy(job);
    if (const auto model = jobs::ParseModelName(needed.version); model.ok()) {
      paths.insert(absl::StrCat("models/", model->model, "/", model->version, "/model.tar.gz"));
    }
    if (const auto dataset = jobs::ParseDatasetReference(needed.dataset); dataset.has_value()) {
      paths.insert(
          absl::StrCat("datasets/", dataset->dataset, "/", dataset->version, "/packed.dataset"));
    }
  }
  return paths;
}

}  // namespace

void DoomObjects(Database& database, absl::string_view path_prefix, absl::Time now) {
  Statement doom(database,
                 "UPDATE objects SET state = 2, generation = generation + 1, tries = 0, due = ? "
                 "WHERE path >= ? AND path < ? AND state <> 2");
  doom.bind(1, absl::ToUnixMillis(now));
  BindText(&doom, 2, path_prefix);
  BindText(&doom, 3, EndOf(path_prefix));
  doom.exec();
}

void DoomVersion(Database& database, absl::string_view model, std::int64_t version) {
  DoomObjects(database, absl::StrCat("models/", model, "/", version, "/"), absl::Now());
}

void DoomDataset(Database& database, absl::string_view dataset, std::int64_t version) {
  DoomObjects(database, absl::StrCat("datasets/", dataset, "/", version, "/"), absl::Now());
}

absl::Status SqliteStore::AddObject(absl::string_view path, absl::string_view key,
                                    std::int64_t size_bytes, absl::Time now) {
  return connections_->Write([&](Database& database) {
    // The upload in parts, if one was begun, is kept: it is gone on with, or ended, by its id.
    Statement add(database,
                  "INSERT INTO objects (path, object, size_bytes, added, due, used) "
                  "VALUES (?1, ?2, ?3, ?4, ?4, ?4) ON CONFLICT (path) DO UPDATE SET state = 0, "
                  "object = ?2, size_bytes = ?3, added = ?4, due = ?4, used = ?4, tries = 0, "
                  "generation = generation + 1");
    BindText(&add, 1, path);
    BindText(&add, 2, key);
    add.bind(3, size_bytes);
    add.bind(4, absl::ToUnixMillis(now));
    add.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::DoomObjects(absl::string_view path_prefix, absl::Time now) {
  return connections_->Write([&](Database& database) {
    store::DoomObjects(database, path_prefix, now);
    return absl::OkStatus();
  });
}

absl::StatusOr<ObjectRecord> SqliteStore::FindObject(absl::string_view path) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<ObjectRecord> {
    Statement select(database, SelectObjects("WHERE path = ? AND state <> 2"));
    BindText(&select, 1, path);
    if (select.executeStep()) return ReadObject(&select);
    return absl::NotFoundError(absl::StrCat(path, " has no copy in the object store."));
  });
}

absl::StatusOr<std::vector<ObjectRecord>> SqliteStore::ListObjects(absl::string_view path_prefix) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<ObjectRecord>> {
    Statement select(database, SelectObjects("WHERE path >= ? AND path < ? AND state <> 2 "
                                             "ORDER BY added DESC, path DESC"));
    BindText(&select, 1, path_prefix);
    BindText(&select, 2, EndOf(path_prefix));
    return ReadObjects(&select);
  });
}

absl::StatusOr<std::vector<ObjectRecord>> SqliteStore::DueObjects(absl::Time now, int limit) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<ObjectRecord>> {
    Statement select(database,
                     SelectObjects("WHERE state <> 1 AND due <= ? ORDER BY due, path LIMIT ?"));
    select.bind(1, absl::ToUnixMillis(now));
    select.bind(2, limit);
    return ReadObjects(&select);
  });
}

absl::StatusOr<absl::Time> SqliteStore::NextObjectDue() {
  return connections_->Read([](Database& database) -> absl::StatusOr<absl::Time> {
    Statement select(database, "SELECT min(due) FROM objects WHERE state <> 1");
    if (!select.executeStep() || select.getColumn(0).isNull()) return absl::InfiniteFuture();
    return absl::FromUnixMillis(select.getColumn(0).getInt64());
  });
}

absl::StatusOr<jobs::ObjectTotals> SqliteStore::PendingObjects() {
  return connections_->Read([](Database& database) -> absl::StatusOr<jobs::ObjectTotals> {
    Statement select(database,
                     "SELECT count(*), coalesce(sum(size_bytes), 0) FROM objects "
                     "WHERE state <> 1 AND state = 0");
    select.executeStep();
    return jobs::ObjectTotals{.pending = select.getColumn(0).getInt64(),
                              .pending_bytes = select.getColumn(1).getInt64()};
  });
}

absl::Status SqliteStore::KeepUpload(const ObjectRecord& record) {
  return connections_->Write([&](Database& database) {
    // Whatever has become of the record: who goes on with it has to know the upload.
    Statement keep(database, "UPDATE objects SET upload = ? WHERE path = ?");
    BindText(&keep, 1, record.upload);
    BindText(&keep, 2, record.path);
    keep.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::ObjectStored(const ObjectRecord& record, absl::Time now) {
  return connections_->Write([&](Database& database) {
    Statement set(database,
                  "UPDATE objects SET state = 1, size_bytes = ?, part_bytes = ?, digests = ?, "
                  "upload = '', tries = 0, used = max(used, ?) "
                  "WHERE path = ? AND generation = ?");
    set.bind(1, record.size_bytes);
    set.bind(2, record.part_bytes);
    set.bind(3, static_cast<const void*>(record.digests.data()),
             static_cast<int>(record.digests.size()));
    set.bind(4, absl::ToUnixMillis(now));
    BindIdentity(&set, 5, record);
    set.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::PostponeObject(const ObjectRecord& record, absl::Time due) {
  return connections_->Write([&](Database& database) {
    Statement set(
        database,
        "UPDATE objects SET due = ?, tries = tries + 1 WHERE path = ? AND generation = ?");
    set.bind(1, absl::ToUnixMillis(due));
    BindIdentity(&set, 2, record);
    set.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::RemoveObject(const ObjectRecord& record) {
  return connections_->Write([&](Database& database) {
    Statement remove(database, "DELETE FROM objects WHERE path = ? AND generation = ?");
    BindIdentity(&remove, 1, record);
    remove.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::RequeueObjects(absl::Time now) {
  return connections_->Write([&](Database& database) {
    Statement set(database,
                  "UPDATE objects SET state = 0, generation = generation + 1, tries = 0, "
                  "upload = '', due = ? WHERE state <> 2");
    set.bind(1, absl::ToUnixMillis(now));
    set.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::TouchObject(absl::string_view path, absl::Time now) {
  return connections_->Write([&](Database& database) {
    Statement set(database, "UPDATE objects SET used = ? WHERE path = ?");
    set.bind(1, absl::ToUnixMillis(now));
    BindText(&set, 2, path);
    set.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<ObjectRecord>> SqliteStore::IdleObjects(absl::Time before) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<ObjectRecord>> {
    Statement select(database, SelectObjects("WHERE state = 1 AND used < ? ORDER BY used, path"));
    select.bind(1, absl::ToUnixMillis(before));
    std::vector<ObjectRecord> idle = ReadObjects(&select);
    const std::set<std::string> needed = NeededPaths(database);
    std::erase_if(idle, [&](const ObjectRecord& one) { return needed.contains(one.path); });
    return idle;
  });
}

}  // namespace atelier::store
