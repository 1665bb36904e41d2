#include "server/store/folder_artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "models/files/file_io.h"

namespace atelier::store {
namespace {

namespace fs = std::filesystem;

constexpr const char kLogName[] = "worker.log";
constexpr const char kArchiveName[] = "model.tar.gz";

absl::Status FileError(absl::string_view what, const std::string& path, int error) {
  const std::string message =
      absl::StrCat(path, " cannot be ", what, ": ", std::strerror(error), ".");
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  if (error == ENOENT) return absl::NotFoundError(message);
  return absl::InternalError(message);
}

// Makes the names of all folders on the way from `root` to `folder` durable: each may be new.
absl::Status SyncFoldersUpTo(const fs::path& root, const fs::path& folder) {
  for (fs::path path = folder; path.string().size() >= root.string().size();
       path = path.parent_path()) {
    if (!models::SyncPath(path)) return FileError("synced", path, errno);
    if (path == root) break;
  }
  return absl::OkStatus();
}

// Copies a file's content and makes it durable.
absl::Status CopyDurably(const std::string& from, std::int64_t size, const std::string& to) {
  // O_NONBLOCK: a FIFO in its place opens at once, and is then refused.
  const int source = open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (source < 0) return FileError("read", from, errno);
  const auto close_source = absl::MakeCleanup([source] { close(source); });
  struct stat about;
  if (fstat(source, &about) != 0) return FileError("read", from, errno);
  if (!S_ISREG(about.st_mode)) return absl::DataLossError(absl::StrCat(from, " is not a file."));
  const int target = open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (target < 0) return absl::InternalError(FileError("made", to, errno).message());
  const auto close_target = absl::MakeCleanup([target] { close(target); });

  std::vector<char> buffer(1 << 20);
  std::int64_t copied = 0;
  while (true) {
    const ssize_t got = read(source, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", from, errno);
    if (got == 0) break;
    if (!models::WriteAll(target, {buffer.data(), static_cast<std::size_t>(got)})) {
      return FileError("written", to, errno);
    }
    copied += got;
  }
  if (copied != size) {
    return absl::DataLossError(absl::StrCat("The archive ", from, " has ", copied,
                                            " bytes where its worker wrote ", size, "."));
  }
  if (fsync(target) != 0) return FileError("written", to, errno);
  return absl::OkStatus();
}

absl::Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? FileError("removed", path, error.value()) : absl::OkStatus();
}

// True for a path that stays within the folder it is relative to.
bool StaysWithin(absl::string_view path) {
  const fs::path relative = fs::path(std::string(path)).lexically_normal();
  return !relative.empty() && relative.is_relative() && relative.has_filename() &&
         *relative.begin() != "..";
}

}  // namespace

std::string FolderArtifactStore::AttemptDir(absl::string_view job_id, int attempt) const {
  return absl::StrCat(root_, "/jobs/", job_id, "/attempts/", attempt);
}

std::string FolderArtifactStore::LogPath(absl::string_view job_id, int attempt) const {
  return absl::StrCat(AttemptDir(job_id, attempt), "/", kLogName);
}

std::string FolderArtifactStore::TensorboardDir(absl::string_view job_id) const {
  return absl::StrCat(root_, "/jobs/", job_id, "/tensorboard");
}

std::string FolderArtifactStore::ArchivePath(absl::string_view model, std::int64_t version) const {
  return absl::StrCat(root_, "/models/", model, "/", version, "/", kArchiveName);
}

// A copy, not a link: what still runs of an attempt that was given up can write to its own files as
// long as it likes.
absl::Status FolderArtifactStore::Publish(const jobs::Publication& publication) {
  if (!StaysWithin(publication.archive)) {
    return absl::InvalidArgumentError(absl::StrCat("The archive's path '", publication.archive,
                                                   "' leads out of the attempt's folder."));
  }
  const std::string source =
      absl::StrCat(AttemptDir(publication.job_id, publication.attempt), "/", publication.archive);
  const std::string target = ArchivePath(publication.model, publication.version);
  const std::string folder = fs::path(target).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::InternalError(FileError("made", folder, error.value()).message());

  const std::string partial = target + ".part";
  if (auto status = CopyDurably(source, publication.size_bytes, partial); !status.ok()) {
    fs::remove_all(folder, error);
    return status;
  }
  if (rename(partial.c_str(), target.c_str()) != 0) return FileError("renamed", partial, errno);
  return SyncFoldersUpTo(root_, folder);
}

absl::Status FolderArtifactStore::MakeAttemptDir(absl::string_view job_id, int attempt) {
  const std::string folder = AttemptDir(job_id, attempt);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("made", folder, error.value());
  return SyncFoldersUpTo(root_, folder);
}

absl::Status FolderArtifactStore::FreeJob(absl::string_view job_id) {
  return FreeAttemptsBefore(job_id, std::numeric_limits<int>::max());
}

absl::Status FolderArtifactStore::FreeAttemptsBefore(absl::string_view job_id, int first_kept) {
  std::error_code error;
  const fs::path attempts = absl::StrCat(root_, "/jobs/", job_id, "/attempts");
  std::vector<std::string> doomed;
  for (fs::directory_iterator attempt(attempts, error), end; !error && attempt != end;
       attempt.increment(error)) {
    int number = 0;
    if (!absl::SimpleAtoi(attempt->path().filename().string(), &number) || number >= first_kept) {
      continue;
    }
    for (fs::directory_iterator file(attempt->path(), error); !error && file != end;
         file.increment(error)) {
      if (file->path().filename() != kLogName) doomed.push_back(file->path());
    }
  }
  if (error && error.value() != ENOENT) return FileError("listed", attempts, error.value());
  for (const std::string& path : doomed) {
    if (auto status = RemoveAll(path); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status FolderArtifactStore::RemoveJob(absl::string_view job_id) {
  return RemoveAll(absl::StrCat(root_, "/jobs/", job_id));
}

absl::Status FolderArtifactStore::RemoveVersion(absl::string_view model, std::int64_t version) {
  return RemoveAll(fs::path(ArchivePath(model, version)).parent_path());
}

}  // namespace atelier::store
