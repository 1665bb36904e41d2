#include "server/upkeep/backup.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/files/tar_header.h"
#include "server/jobs/error.h"
#include "server/upkeep/backup_links.h"

namespace atelier::upkeep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSentBytes = std::int64_t{256} << 10;

absl::Status Unreadable(const std::string& folder, const std::error_code& error) {
  return absl::InternalError(absl::StrCat(folder, " cannot be read: ", error.message(), "."));
}

bool IsPlain(const fs::directory_entry& entry) {
  std::error_code error;
  return fs::is_regular_file(entry.symlink_status(error));
}

// About what the archive takes for a folder's files.
std::int64_t BytesOf(const std::string& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (!IsPlain(*entry)) continue;
    const auto size = static_cast<std::int64_t>(entry->file_size(gone));
    if (!gone) bytes += 512 + size + models::TarPadding(size);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backup>> Backup::Begin(const std::string& data_dir,
                                                      store::SqliteStore* store) {
  const std::string folder = absl::StrCat(data_dir, "/", kBackupWork);
  if (mkdir(folder.c_str(), 0700) != 0) {
    if (errno == EEXIST) {
      return jobs::Error(absl::StatusCode::kFailedPrecondition, "BACKUP_RUNNING",
                         "Another backup is being made; try again when it has ended.");
    }
    return absl::InternalError(
        absl::StrCat(folder, " cannot be made: ", std::strerror(errno), "."));
  }
  std::unique_ptr<Backup> backup(new Backup(data_dir, folder));
  if (auto status = backup->Link(store); !status.ok()) return status;
  return backup;
}

Backup::~Backup() { RemoveLeftBackup(data_dir_).IgnoreError(); }

absl::Status Backup::Link(store::SqliteStore* store) {
  auto database = store->Snapshot(absl::StrCat(folder_, "/", kDatabaseName),
                                  [this] { return LinkPublished(data_dir_, folder_); });
  if (!database.ok()) return database.status();
  database_ = *std::move(database);
  return LinkRest(data_dir_, folder_);
}

absl::Status Backup::Prepare() {
  const auto copied = database_->Copy();
  if (!copied.ok()) return copied.status();
  if (!*copied) return absl::OkStatus();
  database_.reset();
  total_ = BytesOf(folder_);
  std::error_code error;
  walk_ = Walk(folder_, error);
  return error ? Unreadable(folder_, error) : absl::OkStatus();
}

std::string Backup::Entry(const char* name, const std::string& content) {
  const auto size = static_cast<std::int64_t>(content.size());
  return absl::StrCat(models::TarHeader(name, size), content,
                      std::string(static_cast<std::size_t>(models::TarPadding(size)), '\0'));
}

absl::StatusOr<Backup::Piece> Backup::Next() {
  Piece piece;
  if (database_ != nullptr) {
    if (auto status = Prepare(); !status.ok()) return status;
    if (database_ != nullptr) return piece;
    piece.bytes = Entry(kBackupBegin, kBackupFormat);
  } else {
    auto bytes = file_.has_value() ? ReadSome() : OpenNext();
    if (!bytes.ok()) return bytes.status();
    piece.bytes = *std::move(bytes);
  }
  const bool ended = piece.bytes.empty();
  if (ended) piece.bytes = absl::StrCat(Entry(kBackupEnd, digest_.Finish()), models::TarEnd());
  archive_.Update(piece.bytes.data(), piece.bytes.size());
  piece.total_bytes = total_;
  if (ended) piece.sha256 = archive_.Finish();
  return piece;
}

absl::StatusOr<std::string> Backup::OpenNext() {
  std::error_code error;
  while (!error && walk_ != Walk() && !IsPlain(*walk_)) walk_.increment(error);
  if (error) return Unreadable(folder_, error);
  if (walk_ == Walk()) return std::string();
  const std::string path = walk_->path().string();
  const std::string name = path.substr(folder_.size() + 1);
  walk_.increment(error);
  if (error) return Unreadable(folder_, error);
  auto file = models::RegularFile::Open(path);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  size_ = file_->size();
  offset_ = 0;
  digest_.Begin(name);
  return models::TarHeader(name, size_);
}

absl::StatusOr<std::string> Backup::ReadSome() {
  const auto wanted = static_cast<std::size_t>(std::min(kSentBytes, size_ - offset_));
  std::string bytes(wanted, '\0');
  // Logs grow: of those no more is sent than there was.
  if (auto status = file_->ReadExactly(offset_, bytes.data(), wanted); !status.ok()) return status;
  digest_.Add(bytes.data(), wanted);
  offset_ += static_cast<std::int64_t>(wanted);
  if (offset_ < size_) return bytes;
  bytes.append(static_cast<std::size_t>(models::TarPadding(size_)), '\0');
  file_.reset();
  if (!bytes.empty()) return bytes;
  return OpenNext();
}

absl::Status RemoveLeftBackup(const std::string& data_dir) {
  std::error_code error;
  fs::remove_all(fs::path(data_dir) / kBackupWork, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("What is left of a backup in ", data_dir,
                                          " cannot be removed: ", error.message(), "."));
}

}  // namespace atelier::upkeep
