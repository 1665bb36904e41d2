#include "server/store/database_snapshot.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <exception>
#include <utility>

#include "server/store/connections.h"

namespace atelier::store {
namespace {

constexpr int kPagesAtATime = 2000;  // Of 4 KiB.

// Their tokens as well: by them a server finds workers that are not on record.
constexpr char kForgetWorkers[] =
    "UPDATE jobs SET handle = '', token = lower(hex(randomblob(16))) "
    "WHERE files_freed = 0 AND token <> ''";

}  // namespace

DatabaseSnapshot::DatabaseSnapshot() = default;

DatabaseSnapshot::~DatabaseSnapshot() = default;

absl::StatusOr<std::unique_ptr<DatabaseSnapshot>> DatabaseSnapshot::Create(
    std::unique_ptr<SQLite::Database> pinned, const std::string& path) {
  std::unique_ptr<DatabaseSnapshot> snapshot(new DatabaseSnapshot());
  snapshot->source_ = std::move(pinned);
  try {
    snapshot->target_ = std::make_unique<SQLite::Database>(
        path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX);
    snapshot->target_->exec("PRAGMA synchronous = OFF");
    snapshot->backup_ = std::make_unique<SQLite::Backup>(*snapshot->target_, *snapshot->source_);
  } catch (const std::exception& error) {
    return ToStatus(error);
  }
  return snapshot;
}

absl::StatusOr<bool> DatabaseSnapshot::Copy() {
  try {
    const int result = backup_->executeStep(kPagesAtATime);
    if (result == SQLITE_BUSY || result == SQLITE_LOCKED) {
      throw SQLite::Exception("another program uses the copy", result);
    }
    if (result != SQLITE_DONE) return false;
    backup_.reset();
    source_.reset();
    // One file, without a log beside it.
    target_->exec("PRAGMA journal_mode = DELETE");
    target_->exec(kForgetWorkers);
    target_.reset();
    return true;
  } catch (const std::exception& error) {
    return ToStatus(error);
  }
}

}  // namespace atelier::store
