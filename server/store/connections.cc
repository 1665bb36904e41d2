#include "server/store/connections.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/store/migrations.h"

namespace atelier::store {
namespace {

constexpr int kBusyMilliseconds = 5000;  // Somebody looks into the file with another program.

bool IsDamaged(int code) { return code == SQLITE_CORRUPT || code == SQLITE_NOTADB; }

std::unique_ptr<SQLite::Database> Connect(const std::string& path, int flags) {
  auto database = std::make_unique<SQLite::Database>(path, flags, kBusyMilliseconds);
  database->exec("PRAGMA foreign_keys = ON");
  // So that nothing but the files opened here is needed when there are no descriptors left.
  database->exec("PRAGMA temp_store = MEMORY");
  return database;
}

absl::Status OpenError(const std::string& path, const SQLite::Exception& error) {
  switch (error.getErrorCode()) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return jobs::Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
                         absl::StrCat("The database ", path, " is damaged (", error.what(),
                                      "); put a copy back, or move it away to begin anew."));
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(
          absl::StrCat("The database ", path, " cannot be opened for writing (", error.what(),
                       "); check the permissions of the file and its folder."));
    default:
      return absl::Status(
          ToStatus(error).code(),
          absl::StrCat("The database ", path, " cannot be opened: ", error.what(), "."));
  }
}

}  // namespace

absl::Status ToStatus(const std::exception& error) {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error);
  const int code = sqlite == nullptr ? SQLITE_ERROR : sqlite->getErrorCode();
  if (code == SQLITE_FULL) {
    return jobs::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                       "The disk of the server's database is full; nothing was changed.");
  }
  if (IsDamaged(code)) {
    return jobs::Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
                       absl::StrCat("The server's database is damaged: ", error.what(), "."));
  }
  return jobs::Error(absl::StatusCode::kInternal, "STORE_FAILED",
                     absl::StrCat("The server's database failed: ", error.what(), "."));
}

bool IsFailedSync(const std::exception& error) {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error);
  return sqlite != nullptr && (sqlite->getExtendedErrorCode() == SQLITE_IOERR_FSYNC ||
                               sqlite->getExtendedErrorCode() == SQLITE_IOERR_DIR_FSYNC);
}

absl::Status WritingStopped() {
  return jobs::Error(absl::StatusCode::kInternal, "STORE_STOPPED",
                     "The disk did not take what was written to the server's database, so the "
                     "server writes nothing more. Check the disk, and start the server again.");
}

absl::StatusOr<std::unique_ptr<Connections>> Connections::Open(const std::string& path,
                                                               int readers) {
  std::unique_ptr<Connections> connections(new Connections());
  try {
    auto writer =
        Connect(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX);
    // Before journal_mode writes to a file that may be somebody else's.
    if (auto status = CheckSchema(writer.get(), SchemaSteps()); !status.ok()) return status;
    writer->exec("PRAGMA journal_mode = WAL");
    writer->exec("PRAGMA synchronous = FULL");
    writer->exec("PRAGMA journal_size_limit = 67108864");
    if (auto status = Migrate(writer.get(), SchemaSteps()); !status.ok()) return status;
    connections->writer_ = std::move(writer);
    for (int i = 0; i < std::max(1, readers); ++i) {
      auto reader = Connect(path, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
      reader->exec("PRAGMA query_only = ON");
      MutexLock lock(&connections->read_mutex_);
      connections->idle_.push_back(std::move(reader));
    }
  } catch (const SQLite::Exception& error) {
    return OpenError(path, error);
  }
  return connections;
}

absl::StatusOr<std::unique_ptr<SQLite::Database>> Connections::Pin(
    const std::function<absl::Status()>& work) {
  MutexLock lock(&write_mutex_);
  try {
    auto pinned = Connect(writer_->getFilename(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
    pinned->exec("PRAGMA query_only = ON");
    pinned->exec("BEGIN");
    // Reading takes the snapshot.
    pinned->execAndGet("SELECT count(*) FROM sqlite_master");
    if (auto status = work(); !status.ok()) return status;
    return pinned;
  } catch (const std::exception& error) {
    return ToStatus(error);
  }
}

Connections::Borrowed::Borrowed(Connections* connections) : owner(connections) {
  MutexLock lock(&owner->read_mutex_);
  while (owner->idle_.empty()) owner->returned_.Wait(&owner->read_mutex_);
  database = std::move(owner->idle_.back());
  owner->idle_.pop_back();
}

Connections::Borrowed::~Borrowed() {
  MutexLock lock(&owner->read_mutex_);
  owner->idle_.push_back(std::move(database));
  owner->returned_.NotifyOne();
}

}  // namespace atelier::store
