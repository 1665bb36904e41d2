// What a backup is: a tar archive of plain files, named as in the data directory, between two small
// files of its own. The last one has a digest of all the others: an archive without it is cut off.
#ifndef ATELIER_SERVER_UPKEEP_BACKUP_FORMAT_H_
#define ATELIER_SERVER_UPKEEP_BACKUP_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/files/sha256.h"

namespace atelier::upkeep {

// The first file, and what it says.
inline constexpr char kBackupBegin[] = "atelier-backup";
inline constexpr char kBackupFormat[] = "atelier backup, format 1\n";
// The last file. It says the digest, and how many files are between the two.
inline constexpr char kBackupEnd[] = "atelier-backup-end";

// Folders and files of a data directory that are in a backup. What is left out: `cache`, which can
// be made again, and what belongs to this one server, `server-id` and `worker-server.pem`.
inline constexpr const char* kBackupFolders[] = {"models", "datasets", "checkpoints",
                                                 "jobs",   "uploads",  "audit"};
inline constexpr char kDatabaseName[] = "atelier.db";
inline constexpr char kServingName[] = "serving.json";

// Where links lie while a backup is sent, and files until a restore is complete.
inline constexpr char kBackupWork[] = "backup";
inline constexpr char kRestoreWork[] = "restoring";

// Over names, contents and sizes of files, in their order. Not thread-safe.
class BackupDigest {
 public:
  void Begin(absl::string_view name) {
    EndFile();
    AddText(absl::StrCat(name, "\n"));
    ++files_;
  }
  void Add(const char* bytes, std::size_t size) {
    digest_.Update(bytes, size);
    size_ += size;
  }
  // What the last file of a backup says. Call once, last.
  std::string Finish() {
    EndFile();
    return absl::StrCat(digest_.Finish(), " ", files_, " files\n");
  }

 private:
  void AddText(const std::string& text) { digest_.Update(text.data(), text.size()); }
  void EndFile() {
    if (files_ > 0) AddText(absl::StrCat("\n", size_, "\n"));
    size_ = 0;
  }

  models::Sha256 digest_;
  std::int64_t files_ = 0;
  std::size_t size_ = 0;  // Of the file that was begun last.
};

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_BACKUP_FORMAT_H_
