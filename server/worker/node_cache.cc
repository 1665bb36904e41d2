#include "server/worker/node_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "models/files/file_digest.h"
#include "models/files/folder_names.h"
#include "server/worker/own_folder.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

constexpr char kDataset[] = ".dataset";
constexpr char kPart[] = ".part";
constexpr char kLock[] = ".lock";

absl::Status CacheError(absl::string_view doing, const std::string& path) {
  return absl::UnknownError(absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
}

std::string PartSuffix(std::int64_t size) { return absl::StrCat(".", size, kPart); }

// A data set of the cache or a part of one.
struct Entry {
  std::string path;
  std::string sha256;
  std::int64_t size = 0;  // Of a part, what it will have.
  timespec used = {};
};

std::vector<Entry> EntriesOf(const std::string& folder) {
  std::vector<Entry> entries;
  for (const std::string& name : models::NamesIn(folder)) {
    const std::vector<std::string> parts = absl::StrSplit(name, '.');
    Entry entry{absl::StrCat(folder, "/", name), parts[0]};
    struct stat about;
    if (lstat(entry.path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) continue;
    entry.size = about.st_size;
    entry.used = about.st_mtim;
    const bool part =
        parts.size() == 3 && absl::EndsWith(name, kPart) && absl::SimpleAtoi(parts[1], &entry.size);
    if (part || (parts.size() == 2 && absl::EndsWith(name, kDataset))) {
      entries.push_back(std::move(entry));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  return entries;
}

// 0 if there is none.
ino_t InodeOf(const std::string& path) {
  struct stat about;
  return lstat(path.c_str(), &about) == 0 ? about.st_ino : 0;
}

// The locks of entries that nobody uses, least recently used first, until these free `bytes`; none
// if all of them do not. Those of `kept` are not asked for.
using Locks = std::map<std::string, LockFile>;
absl::StatusOr<Locks> LockUnused(const std::vector<Entry>& entries, const std::string& kept,
                                 std::int64_t bytes,
                                 absl::FunctionRef<std::string(const std::string&)> lock_of) {
  Locks locks;
  for (const Entry& entry : entries) {
    if (bytes <= 0) break;
    if (entry.sha256 == kept) continue;
    if (!locks.contains(entry.sha256)) {
      auto unused = LockFile::TryTake(lock_of(entry.sha256), LockFile::Kind::kExclusive);
      if (!unused.ok()) return unused.status();
      if (!unused->has_value()) continue;
      locks.emplace(entry.sha256, **std::move(unused));
    }
    bytes -= entry.size;
  }
  if (bytes > 0) locks.clear();
  return locks;
}

}  // namespace

std::string NodeCache::PathOf(const std::string& sha256, const std::string& suffix) const {
  return absl::StrCat(options_.dir, "/", sha256, suffix);
}

absl::StatusOr<LockFile> NodeCache::LockShared(const std::string& sha256) const {
  for (; !given_up(); absl::SleepFor(options_.look)) {
    auto lock = LockFile::TryTake(PathOf(sha256, kLock), LockFile::Kind::kShared);
    if (!lock.ok()) return lock.status();
    if (lock->has_value()) return **std::move(lock);
  }
  return absl::CancelledError("given up");
}

absl::StatusOr<std::optional<LockFile>> NodeCache::LockUnchanged(const std::string& sha256,
                                                                 ino_t inode) const {
  for (bool told = inode == 0; !given_up(); absl::SleepFor(options_.look)) {
    auto lock = LockFile::TryTake(PathOf(sha256, kLock), LockFile::Kind::kExclusive);
    if (!lock.ok() || lock->has_value()) return lock;
    if (InodeOf(PathOf(sha256, kDataset)) != inode) return std::optional<LockFile>();
    if (!std::exchange(told, true)) {
      spdlog::warn("the data set in this node's cache is damaged and in use; waiting for its end");
    }
  }
  return absl::CancelledError("given up");
}

absl::StatusOr<NodeCache::Held> NodeCache::Get(const std::string& sha256, std::int64_t size,
                                               Fetch fetch) const {
  if (const absl::Status made = MakeOwnFolder(options_.dir); !made.ok()) return made;
  if (size > options_.max_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data set has ", size, " bytes, but the cache of this node may have ",
                     options_.max_bytes, "; give the server a larger --worker_cache_bytes"));
  }
  const std::string path = PathOf(sha256, kDataset);
  while (true) {
    auto used = LockShared(sha256);
    if (!used.ok()) return used.status();
    const ino_t inode = InodeOf(path);
    const auto sum = models::Sha256OfFile(path, options_.stop);
    if (absl::IsCancelled(sum.status())) return sum.status();
    if (sum.ok() && *sum == sha256) {
      utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
      return Held{path, *std::move(used)};
    }
    {
      // Released before the exclusive one is asked for, which another may get first.
      const LockFile released = *std::move(used);
    }
    const auto lock = LockUnchanged(sha256, inode);
    if (!lock.ok()) return lock.status();
    if (!lock->has_value()) continue;
    if (auto status = Bring(sha256, size, fetch); !status.ok()) return status;
  }
}

absl::Status NodeCache::Bring(const std::string& sha256, std::int64_t size, Fetch fetch) const {
  const std::string path = PathOf(sha256, kDataset);
  const auto sum = models::Sha256OfFile(path, options_.stop);
  if (absl::IsCancelled(sum.status())) return sum.status();
  if (sum.ok()) {
    if (*sum == sha256) return absl::OkStatus();
    spdlog::warn("the data set in this node's cache is damaged; it is fetched again");
    if (unlink(path.c_str()) != 0) return CacheError("removing", path);
  }
  for (bool told = false;;) {
    const auto room = TakeRoom(sha256, size);
    if (!room.ok()) return room.status();
    if (*room) break;
    if (given_up()) return absl::CancelledError("given up");
    if (!std::exchange(told, true)) {
      spdlog::warn("this node's cache is full of data sets in use; waiting for room");
    }
    absl::SleepFor(options_.look);
  }
  const std::string part = PathOf(sha256, PartSuffix(size));
  if (auto status = fetch(part); !status.ok()) return status;
  if (rename(part.c_str(), path.c_str()) != 0) return CacheError("renaming", part);
  return absl::OkStatus();
}

absl::StatusOr<bool> NodeCache::TakeRoom(const std::string& sha256, std::int64_t size) const {
  const auto lock = LockFile::Take(absl::StrCat(options_.dir, "/lock"));
  if (!lock.ok()) return lock.status();
  const std::vector<Entry> entries = EntriesOf(options_.dir);
  std::int64_t taken = size;
  for (const Entry& entry : entries) {
    if (entry.sha256 != sha256) taken += entry.size;
  }
  const auto unused = LockUnused(entries, sha256, taken - options_.max_bytes,
                                 [this](const std::string& sum) { return PathOf(sum, kLock); });
  if (!unused.ok()) return unused.status();
  for (const Entry& entry : entries) {
    if (!unused->contains(entry.sha256)) continue;
    if (unlink(entry.path.c_str()) != 0) return CacheError("removing", entry.path);
    taken -= entry.size;
  }
  for (const auto& [sum, held] : *unused) unlink(PathOf(sum, kLock).c_str());
  if (taken > options_.max_bytes) return false;
  const std::string part = PathOf(sha256, PartSuffix(size));
  const int descriptor =
      open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return CacheError("making", part);
  close(descriptor);
  return true;
}

}  // namespace atelier::worker
