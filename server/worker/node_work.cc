#include "server/worker/node_work.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "models/files/folder_names.h"
#include "server/worker/own_folder.h"

namespace atelier::worker {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "lock";
// What Create puts after the name.
constexpr std::size_t kRandom = 6;

std::string LockOf(const std::string& folder) { return absl::StrCat(folder, "/", kLockName); }

// Whether Create names folders so: <job>-<attempt>-XXXXXX.
bool IsOurs(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  std::int64_t attempt = 0;
  return parts.size() >= 3 && parts.back().size() == kRandom &&
         std::all_of(parts.back().begin(), parts.back().end(),
                     [](unsigned char letter) { return absl::ascii_isalnum(letter); }) &&
         absl::SimpleAtoi(parts[parts.size() - 2], &attempt) && attempt >= 0;
}

// The lock goes last: without it nobody would remove what is left if this process is killed.
void RemoveFolder(const std::string& folder) {
  std::error_code ignored;
  for (const std::string& name : models::NamesIn(folder)) {
    if (name != kLockName) fs::remove_all(absl::StrCat(folder, "/", name), ignored);
  }
  fs::remove(LockOf(folder), ignored);
  // Within its walls the process may remove folders beside its own, which the library's way is not:
  // it tries to remove a file first, and that is refused.
  rmdir(folder.c_str());
}

// While the lock of the root is held, so that none is a folder that is just being made.
void RemoveAbandoned(const std::string& root) {
  for (const std::string& name : models::NamesIn(root)) {
    const std::string folder = absl::StrCat(root, "/", name);
    std::error_code ignored;
    if (!IsOurs(name) || !fs::is_directory(fs::symlink_status(folder, ignored))) continue;
    const auto lock = LockFile::TryTakeOwn(LockOf(folder));
    if (lock.ok() && lock->has_value()) RemoveFolder(folder);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NodeWork>> NodeWork::Create(const std::string& root,
                                                           const std::string& name) {
  if (const absl::Status made = MakeOwnFolder(root); !made.ok()) return made;
  const auto making = LockFile::Take(LockOf(root));
  if (!making.ok()) return making.status();
  RemoveAbandoned(root);
  std::string path = absl::StrCat(root, "/", name, "-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnknownError(absl::StrCat("making ", path, ": ", std::strerror(errno)));
  }
  auto lock = LockFile::Take(LockOf(path));
  if (!lock.ok()) return lock.status();
  return std::unique_ptr<NodeWork>(new NodeWork(root, std::move(path), *std::move(lock)));
}

void NodeWork::Remove() { RemoveFolder(path_); }

}  // namespace atelier::worker
