// A backup of a data directory while its server runs: the database as it is at one moment, the
// files that it speaks of, and logs, as one tar archive (backup_format.h) that is read piece by
// piece.
#ifndef ATELIER_SERVER_UPKEEP_BACKUP_H_
#define ATELIER_SERVER_UPKEEP_BACKUP_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "models/files/regular_file.h"
#include "models/files/sha256.h"
#include "server/store/database_snapshot.h"
#include "server/store/sqlite_store.h"
#include "server/upkeep/backup_format.h"

namespace atelier::upkeep {

// Not thread-safe. Holds a piece in memory, whatever the directory's size, and links to its files
// in its folder `backup`, which goes with it.
class Backup {
 public:
  // Fixes what is in the backup; nobody writes to the database meanwhile. FAILED_PRECONDITION
  // (BACKUP_RUNNING) if there is another one; RESOURCE_EXHAUSTED (DISK_FULL). `store` is the
  // directory's, and must outlive the backup.
  static absl::StatusOr<std::unique_ptr<Backup>> Begin(const std::string& data_dir,
                                                       store::SqliteStore* store);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  struct Piece {
    std::string bytes;             // None while the database is copied.
    std::int64_t total_bytes = 0;  // About those of the archive; 0 while the database is copied.
    std::string sha256 = {};       // Of the archive; in the last piece alone.
  };
  absl::StatusOr<Piece> Next();

 private:
  using Walk = std::filesystem::recursive_directory_iterator;

  Backup(std::string data_dir, std::string folder)
      : data_dir_(std::move(data_dir)), folder_(std::move(folder)) {}
  absl::Status Link(store::SqliteStore* store);
  // Goes on with the copy of the database; once it is there, with the files.
  absl::Status Prepare();
  // The header of the next file; nothing after the last one.
  absl::StatusOr<std::string> OpenNext();
  absl::StatusOr<std::string> ReadSome();
  // A small file as a whole.
  static std::string Entry(const char* name, const std::string& content);

  const std::string data_dir_;
  const std::string folder_;
  std::unique_ptr<store::DatabaseSnapshot> database_;  // Until it is copied.

  Walk walk_;
  std::int64_t total_ = 0;
  std::optional<models::RegularFile> file_;
  std::int64_t size_ = 0;  // Of the file, as its header says.
  std::int64_t offset_ = 0;
  BackupDigest digest_;
  models::Sha256 archive_;
};

// Removes what a killed server left of a backup. Nothing to remove is no error.
absl::Status RemoveLeftBackup(const std::string& data_dir);

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_BACKUP_H_
