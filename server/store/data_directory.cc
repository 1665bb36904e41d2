#include "server/store/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::store {
namespace {

namespace fs = std::filesystem;

absl::Status NotWritable(const std::string& path, int error) {
  return absl::PermissionDeniedError(
      absl::StrCat("The data directory ", path, " is not writable (", std::strerror(error),
                   "); choose another with --data_dir, or change its owner or permissions."));
}

// The process id that a lock's holder wrote; empty if it has not yet.
std::string ReadPid(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  int pid = 0;
  if (size <= 0 || !absl::SimpleAtoi(absl::string_view(text, size), &pid)) return "";
  return absl::StrCat(" (process ", pid, ")");
}

absl::StatusOr<std::string> MakeFolder(absl::string_view path) {
  std::error_code error;
  fs::path absolute = fs::absolute(fs::path(std::string(path)), error).lexically_normal();
  if (path.empty() || error) return absl::InvalidArgumentError("The data directory has no name.");
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // A slash at the end.
  const fs::file_status status = fs::status(absolute, error);
  if (fs::exists(status)) {
    if (fs::is_directory(status)) return absolute.string();
    return absl::InvalidArgumentError(
        absl::StrCat("The data directory ", absolute.string(), " is a file; give a folder."));
  }
  fs::create_directories(absolute, error);
  if (error) return NotWritable(absolute.string(), error.value());
  // What is in it, such as workers' tokens, is the server's alone.
  fs::permissions(absolute, fs::perms::owner_all, error);
  return absolute.string();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(absl::string_view path) {
  auto folder = MakeFolder(path);
  if (!folder.ok()) return folder.status();
  if (access(folder->c_str(), W_OK | X_OK) != 0) return NotWritable(*folder, errno);
  const std::string lock_path = *folder + "/atelierd.lock";
  const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return NotWritable(*folder, errno);
  std::unique_ptr<DataDirectory> directory(new DataDirectory(*std::move(folder), fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("The data directory ", directory->path(), " is in use by another server",
                     ReadPid(fd), "; stop that one, or choose another with --data_dir."));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return NotWritable(directory->path(), errno);
  }
  return directory;
}

DataDirectory::~DataDirectory() { close(lock_fd_); }

}  // namespace atelier::store
