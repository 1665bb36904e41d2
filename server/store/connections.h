// Connections to one database file: one that writes, some that read beside it. Turns the exceptions
// of SQLite into statuses.
#ifndef ATELIER_SERVER_STORE_CONNECTIONS_H_
#define ATELIER_SERVER_STORE_CONNECTIONS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"

namespace atelier::store {

// What an exception of SQLite means for a caller: RESOURCE_EXHAUSTED (DISK_FULL), DATA_LOSS
// (DATABASE_DAMAGED) or INTERNAL (STORE_FAILED).
absl::Status ToStatus(const std::exception& error);

// Whether the disk did not take what a commit had written.
bool IsFailedSync(const std::exception& error);

// INTERNAL (STORE_STOPPED): nothing is written any more.
absl::Status WritingStopped();

// Thread-safe: a connection serves one caller at a time; others wait.
class Connections {
 public:
  // Opens or makes the file and brings its schema up to date; errors as SqliteStore::Open.
  static absl::StatusOr<std::unique_ptr<Connections>> Open(const std::string& path, int readers);
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Answers with `work(database)`, an absl::Status or StatusOr, done in one transaction: committed
  // if that is OK, rolled back otherwise. After a commit that could not be synced nothing is
  // written any more (WritingStopped): what the disk has is not known, and a later sync would not
  // tell.
  template <typename Work>
  auto Write(Work work) -> decltype(work(std::declval<SQLite::Database&>())) {
    MutexLock lock(&write_mutex_);
    if (sync_failed_) return WritingStopped();
    try {
      // Takes the write lock at once: nothing can come between reading and writing.
      SQLite::Transaction transaction(*writer_, SQLite::TransactionBehavior::IMMEDIATE);
      auto result = work(*writer_);
      if (result.ok()) transaction.commit();
      return result;
    } catch (const std::exception& error) {
      sync_failed_ = IsFailedSync(error);
      return ToStatus(error);
    }
  }

  // Answers with `work(database)`, done on one snapshot of the database.
  template <typename Work>
  auto Read(Work work) -> decltype(work(std::declval<SQLite::Database&>())) {
    const Borrowed reader(this);
    try {
      SQLite::Transaction snapshot(*reader.database);
      return work(*reader.database);
    } catch (const std::exception& error) {
      return ToStatus(error);
    }
  }

  // A connection of its own that sees the database as it was while `work` ran, during which nobody
  // wrote to it; and goes on seeing that, whatever others write, until its transaction ends. Errors
  // of `work`.
  absl::StatusOr<std::unique_ptr<SQLite::Database>> Pin(const std::function<absl::Status()>& work);

 private:
  // A reading connection, taken for a scope.
  struct Borrowed {
    explicit Borrowed(Connections* owner);
    ~Borrowed();
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Connections* const owner;
    std::unique_ptr<SQLite::Database> database;
  };

  Connections() = default;

  Mutex write_mutex_;
  std::unique_ptr<SQLite::Database> writer_ ABSL_PT_GUARDED_BY(write_mutex_);
  bool sync_failed_ ABSL_GUARDED_BY(write_mutex_) = false;
  Mutex read_mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<SQLite::Database>> idle_ ABSL_GUARDED_BY(read_mutex_);
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_CONNECTIONS_H_
