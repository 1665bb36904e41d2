#include "server/worker/node_work.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "models/files/folder_names.h"

namespace atelier::worker {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "/lock";

// While the lock of the root is held, so that none is a folder that is just being made.
void RemoveAbandoned(const std::string& root) {
  for (const std::string& name : models::NamesIn(root)) {
    const std::string folder = absl::StrCat(root, "/", name);
    std::error_code ignored;
    if (!fs::is_directory(fs::symlink_status(folder, ignored))) continue;
    const auto lock = LockFile::TryTake(folder + kLockName, LockFile::Kind::kExclusive);
    if (lock.ok() && lock->has_value()) fs::remove_all(folder, ignored);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NodeWork>> NodeWork::Create(const std::string& root,
                                                           const std::string& name) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error) return absl::UnknownError(absl::StrCat("making ", root, ": ", error.message()));
  const auto making = LockFile::Take(root + kLockName);
  if (!making.ok()) return making.status();
  RemoveAbandoned(root);
  std::string path = absl::StrCat(root, "/", name, "-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnknownError(absl::StrCat("making ", path, ": ", std::strerror(errno)));
  }
  auto lock = LockFile::Take(path + kLockName);
  if (!lock.ok()) return lock.status();
  return std::unique_ptr<NodeWork>(new NodeWork(root, std::move(path), *std::move(lock)));
}

void NodeWork::Remove() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  // Within its walls the process may remove folders beside its own, which the library's way is not:
  // it tries to remove a file first, and that is refused.
  rmdir(path_.c_str());
}

}  // namespace atelier::worker
