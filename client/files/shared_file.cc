#include "client/files/shared_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"

namespace atelier::client {
namespace {

constexpr mode_t kNewMode = 0640;

absl::Status Failed(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat(EscapeControls(path), " cannot be changed: ", std::strerror(errno), "."));
}

// Owns a descriptor.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

// Owner, group and permissions of the file, or those of a new one.
absl::StatusOr<struct stat> LookOf(const std::string& path, const std::string& folder) {
  struct stat look = {};
  if (stat(path.c_str(), &look) == 0) return look;
  if (errno != ENOENT) return Failed(path);
  if (stat(folder.c_str(), &look) != 0) return Failed(path);
  look.st_uid = geteuid();
  look.st_mode = kNewMode;
  look.st_size = -1;
  return look;
}

absl::Status WriteAs(const struct stat& look, const std::string& path, const std::string& content) {
  const Descriptor file{open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.number < 0) return Failed(path);
  if (fchown(file.number, look.st_uid, look.st_gid) != 0 ||
      fchmod(file.number, look.st_mode & 07777) != 0 || !models::WriteAll(file.number, content) ||
      fsync(file.number) != 0) {
    return Failed(path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadSharedFile(const std::string& path, std::int64_t max_bytes) {
  auto content = models::ReadWholeFile(path, max_bytes);
  if (content.ok()) return content;
  return absl::InvalidArgumentError(
      absl::StrCat(EscapeControls(absl::StripSuffix(content.status().message(), ".")), "."));
}

absl::Status EditSharedFile(
    const std::string& path, std::int64_t max_bytes,
    const std::function<absl::StatusOr<std::string>(const std::string& content)>& edit) {
  const std::string folder = models::FolderOf(path);
  const Descriptor lock{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (lock.number < 0 || flock(lock.number, LOCK_EX) != 0) return Failed(path);
  const auto look = LookOf(path, folder);
  if (!look.ok()) return look.status();
  absl::StatusOr<std::string> content = std::string();
  if (look->st_size >= 0) content = ReadSharedFile(path, max_bytes);
  if (!content.ok()) return content.status();
  const auto changed = edit(*content);
  if (!changed.ok()) return changed.status();
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".tmp");
  absl::Status status = WriteAs(*look, temporary, *changed);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = Failed(path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return models::SyncPath(folder) ? absl::OkStatus() : Failed(path);
}

}  // namespace atelier::client
