#include "server/store/folder_artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"
#include "models/files/sha256.h"

namespace atelier::store {
namespace {

namespace fs = std::filesystem;

constexpr const char kLogName[] = "worker.log";
constexpr const char kArchiveName[] = "model.tar.gz";
constexpr const char kDatasetName[] = "packed.dataset";
constexpr std::size_t kProbeDigits = 64;

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

// OK if there is a plain file of that size.
absl::Status CheckFile(const std::string& path, std::int64_t size) {
  struct stat about;
  if (lstat(path.c_str(), &about) != 0) return FileError("read", path, errno);
  if (!S_ISREG(about.st_mode)) return absl::DataLossError(absl::StrCat(path, " is not a file."));
  if (about.st_size == size) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("The file ", path, " has ", about.st_size,
                                          " bytes where its worker wrote ", size, "."));
}

// The names in a folder; none if it is not there.
std::vector<fs::path> EntriesOf(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  return entries;
}

// True for a path that stays within the folder it is relative to.
bool StaysWithin(absl::string_view path) {
  const fs::path relative = fs::path(std::string(path)).lexically_normal();
  return !relative.empty() && relative.is_relative() && relative.has_filename() &&
         *relative.begin() != "..";
}

// The checkpoint of a folder with the most steps, and the steps; an empty path if there is none.
std::pair<std::int64_t, fs::path> NewestCheckpoint(const fs::path& folder) {
  std::pair<std::int64_t, fs::path> newest{-1, {}};
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    const std::string name = file->path().filename().string();
    absl::string_view digits = name;
    std::int64_t steps = 0;
    if (absl::ConsumePrefix(&digits, "checkpoint-") && absl::ConsumeSuffix(&digits, ".ckpt") &&
        absl::SimpleAtoi(digits, &steps) && steps > newest.first) {
      newest = {steps, file->path()};
    }
  }
  return newest;
}

// That of all attempts in a folder.
fs::path NewestOfAttempts(const fs::path& attempts) {
  std::pair<std::int64_t, fs::path> newest{-1, {}};
  std::error_code error;
  for (fs::directory_iterator attempt(attempts, error), end; !error && attempt != end;
       attempt.increment(error)) {
    newest = std::max(newest, NewestCheckpoint(attempt->path()));
  }
  return newest.second;
}

}  // namespace

std::string FolderArtifactStore::AttemptDir(absl::string_view job_id, int attempt) const {
  return absl::StrCat(root_, "/jobs/", job_id, "/attempts/", attempt);
}

std::string FolderArtifactStore::KeptDir(absl::string_view job_id) const {
  return absl::StrCat(root_, "/checkpoints/", job_id);
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

std::string FolderArtifactStore::DatasetPath(absl::string_view dataset,
                                             std::int64_t version) const {
  return absl::StrCat(root_, "/datasets/", dataset, "/", version, "/", kDatasetName);
}

absl::Status FolderArtifactStore::Publish(const jobs::Publication& publication) {
  if (!StaysWithin(publication.archive)) {
    return absl::InvalidArgumentError(absl::StrCat("The archive's path '", publication.archive,
                                                   "' leads out of the attempt's folder."));
  }
  const std::string source =
      absl::StrCat(AttemptDir(publication.job_id, publication.attempt), "/", publication.archive);
  const bool model = publication.kind == jobs::Publication::Kind::kModel;
  const std::string target = model ? ArchivePath(publication.name, publication.version)
                                   : DatasetPath(publication.name, publication.version);
  const std::string folder = fs::path(target).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::InternalError(FileError("made", folder, error.value()).message());
  absl::Status status = model ? PublishModel(source, target, publication.size_bytes)
                              : PublishDataset(source, target, publication.size_bytes);
  if (status.ok()) return SyncFoldersUpTo(root_, folder);
  fs::remove_all(folder, error);
  return status;
}

// A copy, not a link: what still runs of an attempt that was given up can write to its own files as
// long as it likes.
absl::Status FolderArtifactStore::PublishModel(const std::string& source, const std::string& target,
                                               std::int64_t size_bytes) {
  const std::string partial = target + ".part";
  if (auto status = CopyDurably(source, size_bytes, partial); !status.ok()) return status;
  if (rename(partial.c_str(), target.c_str()) != 0) return FileError("renamed", partial, errno);
  return absl::OkStatus();
}

// Moved, for it may be as large as the disk has room for; only the attempt that ends with it has
// written to it. It has been moved already if the server ended before that was on record.
absl::Status FolderArtifactStore::PublishDataset(const std::string& source,
                                                 const std::string& target,
                                                 std::int64_t size_bytes) {
  absl::Status there = CheckFile(source, size_bytes);
  if (absl::IsNotFound(there)) return CheckFile(target, size_bytes);
  if (!there.ok()) return there;
  if (!models::SyncPath(source)) return FileError("synced", source, errno);
  if (rename(source.c_str(), target.c_str()) != 0) return FileError("renamed", source, errno);
  return absl::OkStatus();
}

absl::Status FolderArtifactStore::MakeAttemptDir(absl::string_view job_id, int attempt) {
  const std::string folder = AttemptDir(job_id, attempt);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("made", folder, error.value());
  return SyncFoldersUpTo(root_, folder);
}

// Not synced: after a crash of the machine another one does as well.
absl::StatusOr<std::string> FolderArtifactStore::Probe(absl::string_view job_id, int attempt) {
  const std::string folder = AttemptDir(job_id, attempt);
  const std::string path = absl::StrCat(folder, "/probe");
  if (const auto made = models::ReadWholeFile(path, kProbeDigits);
      made.ok() && made->size() == kProbeDigits) {
    return made;
  }
  std::random_device source;
  std::string probe;
  while (probe.size() < kProbeDigits) {
    absl::StrAppend(&probe, absl::Hex(source(), absl::kZeroPad8));
  }
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string partial = path + ".part";
  const int target = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (target < 0) return FileError("made", partial, errno);
  const bool written = models::WriteAll(target, probe);
  if (close(target) != 0 || !written || rename(partial.c_str(), path.c_str()) != 0) {
    return FileError("written", path, errno);
  }
  return probe;
}

absl::Status FolderArtifactStore::FreeJob(absl::string_view job_id) {
  if (auto status = KeepCheckpoint(job_id); !status.ok()) return status;
  return FreeAttemptsBefore(job_id, std::numeric_limits<int>::max());
}

absl::Status FolderArtifactStore::KeepCheckpoint(absl::string_view job_id) {
  const fs::path newest = NewestOfAttempts(JobDir(job_id) + "/attempts");
  if (newest.empty()) return absl::OkStatus();
  if (kept_checkpoints_ == 0) return ForgetOldCheckpoints();
  const std::string folder = KeptDir(job_id);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("made", folder, error.value());
  const std::string kept = folder + "/" + newest.filename().string();
  if (rename(newest.c_str(), kept.c_str()) != 0) return FileError("renamed", newest, errno);
  if (auto status = SyncFoldersUpTo(root_, folder); !status.ok()) return status;
  return ForgetOldCheckpoints();
}

absl::Status FolderArtifactStore::ForgetOldCheckpoints() {
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  std::error_code error;
  const fs::path folder = fs::path(KeptDir("x")).parent_path();
  for (fs::directory_iterator job(folder, error), end; !error && job != end; job.increment(error)) {
    std::error_code gone;
    const fs::file_time_type time = fs::last_write_time(job->path(), gone);
    if (!gone) kept.emplace_back(time, job->path());
  }
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  if (error) return FileError("listed", folder, error.value());
  std::sort(kept.rbegin(), kept.rend());
  for (std::size_t i = static_cast<std::size_t>(kept_checkpoints_); i < kept.size(); ++i) {
    if (auto status = RemoveAll(kept[i].second); !status.ok()) return status;
  }
  return absl::OkStatus();
}

fs::path FolderArtifactStore::LastCheckpoint(absl::string_view job_id) const {
  fs::path kept = NewestCheckpoint(KeptDir(job_id)).second;
  // Else what FreeJob has still to move.
  return kept.empty() ? NewestOfAttempts(JobDir(job_id) + "/attempts") : kept;
}

bool FolderArtifactStore::HasCheckpoint(absl::string_view job_id) {
  return !LastCheckpoint(job_id).empty();
}

absl::Status FolderArtifactStore::HandCheckpoint(absl::string_view ended_id,
                                                 absl::string_view new_id) {
  // Alone makes sure that no other job's files are touched.
  std::error_code error;
  fs::create_directories(root_ + "/jobs", error);
  if (mkdir(JobDir(new_id).c_str(), 0755) != 0) {
    if (errno != EEXIST) return FileError("made", JobDir(new_id), errno);
    return absl::AlreadyExistsError(absl::StrCat("Job ", new_id, " has files already."));
  }
  absl::Status status = MakeAttemptDir(new_id, 0);
  // Twice, as it may be moved meanwhile. A link, since a checkpoint is never written to again.
  for (int tries = 0; status.ok() && tries < 2; ++tries) {
    const fs::path last = LastCheckpoint(ended_id);
    const fs::path target = fs::path(AttemptDir(new_id, 0)) / last.filename();
    if (!last.empty() && link(last.c_str(), target.c_str()) == 0) {
      status = SyncFoldersUpTo(root_, AttemptDir(new_id, 0));
      if (status.ok()) return status;
    } else if (!last.empty() && errno != ENOENT) {
      status = FileError("linked", last, errno);
    }
  }
  if (status.ok()) {
    status = absl::NotFoundError(absl::StrCat("No checkpoint of job ", ended_id, " is kept."));
  }
  RemoveAll(JobDir(new_id)).IgnoreError();
  return status;
}

absl::Status FolderArtifactStore::CheckArchive(absl::string_view model, std::int64_t version,
                                               std::int64_t size_bytes, absl::string_view sha256) {
  const std::string path = ArchivePath(model, version);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return FileError("read", path, errno);
  const auto close_file = absl::MakeCleanup([file] { close(file); });
  std::vector<char> buffer(1 << 20);
  models::Sha256 sum;
  std::int64_t size = 0;
  while (true) {
    const ssize_t got = read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path, errno);
    if (got == 0) break;
    sum.Update(buffer.data(), static_cast<std::size_t>(got));
    size += got;
    if (size > size_bytes) break;
  }
  if (size == size_bytes && sum.Finish() == sha256) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " is not the file that was stored: its size or SHA-256 is another."));
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
  if (auto status = RemoveAll(KeptDir(job_id)); !status.ok()) return status;
  return RemoveAll(JobDir(job_id));
}

absl::Status FolderArtifactStore::RemoveVersion(absl::string_view model, std::int64_t version) {
  return RemoveAll(fs::path(ArchivePath(model, version)).parent_path());
}

absl::Status FolderArtifactStore::RemoveDataset(absl::string_view dataset, std::int64_t version) {
  const fs::path folder = fs::path(DatasetPath(dataset, version)).parent_path();
  absl::Status status = RemoveAll(folder);
  // Goes with the last version; fails, as it should, before.
  std::error_code ignored;
  if (status.ok()) fs::remove(folder.parent_path(), ignored);
  return status;
}

absl::Status FolderArtifactStore::RemoveDatasetsBut(
    const std::vector<jobs::DatasetReference>& kept) {
  std::set<std::string> folders;
  for (const jobs::DatasetReference& version : kept) {
    folders.insert(fs::path(DatasetPath(version.dataset, version.version)).parent_path());
  }
  for (const fs::path& dataset : EntriesOf(root_ + "/datasets")) {
    for (const fs::path& version : EntriesOf(dataset)) {
      if (folders.contains(version)) continue;
      if (absl::Status status = RemoveAll(version); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace atelier::store
