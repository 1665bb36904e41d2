#include "server/upkeep/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/files/archive_reader.h"
#include "models/files/file_io.h"
#include "server/store/data_directory.h"
#include "server/upkeep/backup_format.h"

namespace atelier::upkeep {
namespace {

namespace fs = std::filesystem;
using models::ArchiveEntry;
using models::ArchiveReader;

constexpr std::size_t kUnpackedBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxOwnFile = 1000;
constexpr std::size_t kMaxPart = 255;
constexpr std::size_t kMaxParts = 8;

absl::Status NoBackup(const std::string& archive, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(archive, " cannot be restored: ", why, "."));
}

absl::Status Failed(absl::string_view what, const std::string& path, int error) {
  const std::string message =
      absl::StrCat(path, " cannot be ", what, ": ", std::strerror(error), ".");
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

bool IsBackupName(absl::string_view name) {
  return name == kDatabaseName || name == kServingName ||
         std::find(std::begin(kBackupFolders), std::end(kBackupFolders), name) !=
             std::end(kBackupFolders);
}

// Whether a backup can have a file of that path: within one of its folders, or one of its files.
bool IsBackupPath(absl::string_view path) {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/');
  const bool file = parts[0] == kDatabaseName || parts[0] == kServingName;
  if (!IsBackupName(parts[0]) || file != (parts.size() == 1) || parts.size() > kMaxParts) {
    return false;
  }
  return std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
    return !part.empty() && part != "." && part != ".." && part.size() <= kMaxPart &&
           part.find('\0') == absl::string_view::npos;
  });
}

// Takes the archive's files into a folder.
class Unpacking {
 public:
  Unpacking(const std::string& archive, const std::string& folder)
      : archive_(archive), folder_(folder), buffer_(kUnpackedBytes) {}

  absl::StatusOr<Restored> Run() {
    auto reader = ArchiveReader::Open(archive_, ArchiveReader::Packing::kTar, "");
    if (!reader.ok()) return NoBackup(archive_, reader.status().message());
    reader_ = *std::move(reader);
    absl::Status status = ReadBegin();
    bool ended = false;
    while (status.ok() && !ended) {
      auto entry = reader_->Next();
      if (!entry.ok()) return NoBackup(archive_, entry.status().message());
      if (*entry == nullptr) return NoBackup(archive_, "it is cut off: its last file is missing");
      ended = (*entry)->path == kBackupEnd;
      status = ended ? ReadEnd() : TakeFile(**entry);
    }
    if (!status.ok()) return status;
    if (!has_database_) return NoBackup(archive_, "it has no database");
    return restored_;
  }

 private:
  absl::Status ReadBegin() {
    const auto entry = reader_->Next();
    if (!entry.ok()) return NoBackup(archive_, entry.status().message());
    if (*entry == nullptr || (*entry)->path != kBackupBegin) {
      return NoBackup(archive_, "it is no backup of Atelier's; `atelier admin backup` makes one");
    }
    const auto format = reader_->ReadAll(kMaxOwnFile);
    if (format.ok() && *format == kBackupFormat) return absl::OkStatus();
    return NoBackup(archive_, "it was made by a newer version of Atelier; use that one");
  }

  absl::Status ReadEnd() {
    const auto said = reader_->ReadAll(kMaxOwnFile);
    if (!said.ok()) return NoBackup(archive_, said.status().message());
    if (*said != digest_.Finish()) {
      return NoBackup(archive_, "it is damaged: its files do not have their checksum");
    }
    const auto more = reader_->Next();
    if (more.ok() && *more == nullptr) return absl::OkStatus();
    return NoBackup(archive_, "something follows its last file");
  }

  absl::Status TakeFile(const ArchiveEntry& entry) {
    const std::string path = entry.path;
    if (entry.kind != ArchiveEntry::Kind::kFile || !IsBackupPath(path)) {
      return NoBackup(archive_, absl::StrCat("it has ", models::PrintableName(path),
                                             ", which is none of a backup's files"));
    }
    const std::string target = absl::StrCat(folder_, "/", path);
    std::error_code error;
    fs::create_directories(fs::path(target).parent_path(), error);
    if (error) return Failed("made", target, error.value());
    const int file = open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST) {
      return NoBackup(archive_, absl::StrCat("it has ", models::PrintableName(path), " twice"));
    }
    if (file < 0) return Failed("made", target, errno);
    const auto close_file = absl::MakeCleanup([file] { close(file); });
    has_database_ |= path == kDatabaseName;
    return Copy(path, target, file);
  }

  absl::Status Copy(const std::string& path, const std::string& target, int file) {
    digest_.Begin(path);
    while (true) {
      const auto got = reader_->Read(buffer_.data(), buffer_.size());
      if (!got.ok()) return NoBackup(archive_, got.status().message());
      if (*got == 0) break;
      digest_.Add(buffer_.data(), *got);
      if (!models::WriteAll(file, {buffer_.data(), *got})) return Failed("written", target, errno);
      restored_.bytes += static_cast<std::int64_t>(*got);
    }
    ++restored_.files;
    return absl::OkStatus();
  }

  const std::string& archive_;
  const std::string& folder_;
  std::vector<char> buffer_;
  std::unique_ptr<ArchiveReader> reader_;
  BackupDigest digest_;
  Restored restored_;
  bool has_database_ = false;
};

// What may be in a directory into which nothing was restored: the lock, and what a new file system
// has.
bool IsHarmless(const std::string& name) { return name == "atelierd.lock" || name == "lost+found"; }

absl::StatusOr<std::vector<std::string>> ThingsIn(const std::string& data_dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(data_dir, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename();
    if (!IsHarmless(name)) names.push_back(std::move(name));
  }
  if (error) return Failed("listed", data_dir, error.value());
  return names;
}

absl::Status Remove(const std::string& data_dir, const std::string& name) {
  std::error_code error;
  fs::remove_all(fs::path(data_dir) / name, error);
  return error ? Failed("removed", absl::StrCat(data_dir, "/", name), error.value())
               : absl::OkStatus();
}

// Removes what a restore made: it began in an empty directory.
absl::Status RemoveRestored(const std::string& data_dir) {
  const auto names = ThingsIn(data_dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsBackupName(name)) continue;
    if (auto status = Remove(data_dir, name); !status.ok()) return status;
  }
  return Remove(data_dir, kRestoreWork);
}

absl::Status MakeEmpty(const std::string& data_dir) {
  if (!CheckRestored(data_dir).ok()) {
    if (auto status = RemoveRestored(data_dir); !status.ok()) return status;
  }
  const auto names = ThingsIn(data_dir);
  if (!names.ok()) return names.status();
  if (names->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("The data directory ", data_dir,
                                                    " is not empty (", names->front(),
                                                    "); restore into a new one with --data_dir."));
}

// All that was written to the folder's file system.
absl::Status SyncAll(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && syncfs(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  return synced ? absl::OkStatus() : Failed("synced", folder, error);
}

// Puts the files in their places, the database last.
absl::Status MoveIn(const std::string& data_dir, const std::string& folder) {
  std::vector<std::string> names(std::begin(kBackupFolders), std::end(kBackupFolders));
  names.insert(names.end(), {kServingName, kDatabaseName});
  for (const std::string& name : names) {
    const std::string from = absl::StrCat(folder, "/", name);
    if (rename(from.c_str(), absl::StrCat(data_dir, "/", name).c_str()) == 0 || errno == ENOENT) {
      continue;
    }
    return Failed("moved", from, errno);
  }
  if (!models::SyncPath(data_dir)) return Failed("synced", data_dir, errno);
  if (auto status = Remove(data_dir, kRestoreWork); !status.ok()) return status;
  return models::SyncPath(data_dir) ? absl::OkStatus() : Failed("synced", data_dir, errno);
}

}  // namespace

absl::StatusOr<Restored> Restore(const std::string& archive, const std::string& data_dir) {
  auto directory = store::DataDirectory::Open(data_dir);
  if (!directory.ok()) return directory.status();
  const std::string& root = (*directory)->path();
  if (auto status = MakeEmpty(root); !status.ok()) return status;
  const std::string folder = absl::StrCat(root, "/", kRestoreWork);
  if (mkdir(folder.c_str(), 0700) != 0) return Failed("made", folder, errno);
  if (!models::SyncPath(root)) return Failed("synced", root, errno);
  auto restored = Unpacking(archive, folder).Run();
  absl::Status status = restored.status();
  if (status.ok()) status = SyncAll(folder);
  if (status.ok()) status = MoveIn(root, folder);
  if (status.ok()) return restored;
  RemoveRestored(root).IgnoreError();
  return status;
}

absl::Status CheckRestored(const std::string& data_dir) {
  std::error_code error;
  if (!fs::exists(fs::path(data_dir) / kRestoreWork, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("A restore into the data directory ", data_dir,
                   " was interrupted; run `atelierd --restore` with it again."));
}

}  // namespace atelier::upkeep
