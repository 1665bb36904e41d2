// A copy of the database as it was at one moment, made while the server goes on.
#ifndef ATELIER_SERVER_STORE_DATABASE_SNAPSHOT_H_
#define ATELIER_SERVER_STORE_DATABASE_SNAPSHOT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace SQLite {
class Backup;
class Database;
}  // namespace SQLite

namespace atelier::store {

// Not thread-safe.
class DatabaseSnapshot {
 public:
  // `pinned` has an open transaction that reads. Errors as of SqliteStore.
  static absl::StatusOr<std::unique_ptr<DatabaseSnapshot>> Create(
      std::unique_ptr<SQLite::Database> pinned, const std::string& path);
  ~DatabaseSnapshot();
  DatabaseSnapshot(const DatabaseSnapshot&) = delete;
  DatabaseSnapshot& operator=(const DatabaseSnapshot&) = delete;

  // Copies some more, a few MiB; true once all of it is at its path. Running jobs have lost their
  // workers in the copy: those belong to the server that goes on, and the copy's must neither wait
  // for them nor end them. The copy is not durable.
  absl::StatusOr<bool> Copy();

 private:
  DatabaseSnapshot();

  std::unique_ptr<SQLite::Database> source_;
  std::unique_ptr<SQLite::Database> target_;
  std::unique_ptr<SQLite::Backup> backup_;  // Before both: it goes first.
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_DATABASE_SNAPSHOT_H_
