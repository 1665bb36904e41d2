#include "models/files/regular_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::models {
namespace {

absl::Status SystemError(absl::string_view what, const std::string& path, int error) {
  if (error == EMFILE || error == ENFILE || error == ENOMEM) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " cannot be ", what, " now: ", strerror(error)));
  }
  return absl::UnavailableError(absl::StrCat(path, " cannot be ", what, ": ", strerror(error)));
}

absl::string_view KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "something else";
}

absl::Status NoPlainFile(const std::string& path, mode_t mode) {
  return absl::FailedPreconditionError(absl::StrCat(path, " is ", KindOf(mode), ", not a file"));
}

}  // namespace

absl::StatusOr<RegularFile> RegularFile::Open(const std::string& path) {
  // O_NONBLOCK: a FIFO opens at once; it means nothing to a plain file.
  const int descriptor = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) {
    const int error = errno;
    if (error == ENOENT) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
    // A socket cannot be opened; say so rather than "No such device or address".
    struct stat what;
    if (error == ENXIO && stat(path.c_str(), &what) == 0) return NoPlainFile(path, what.st_mode);
    return SystemError("opened", path, error);
  }
  RegularFile file(path, descriptor);
  if (fstat(descriptor, &file.about_) != 0) return SystemError("read", path, errno);
  if (!S_ISREG(file.about_.st_mode)) return NoPlainFile(path, file.about_.st_mode);
  return file;
}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      about_(other.about_) {}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(about_, other.about_);
  return *this;
}

RegularFile::~RegularFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<size_t> RegularFile::Read(int64_t offset, void* to, size_t size) const {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(descriptor_, static_cast<char*>(to) + have, size - have,
                              offset + static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", path_, errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return have;
}

absl::Status RegularFile::ReadExactly(int64_t offset, void* to, size_t size) const {
  const absl::StatusOr<size_t> got = Read(offset, to, size);
  if (!got.ok()) return got.status();
  if (*got == size) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(path_, " ends after ",
                                            offset + static_cast<int64_t>(*got), " bytes, ",
                                            offset + static_cast<int64_t>(size), " were expected"));
}

int RegularFile::Release() { return std::exchange(descriptor_, -1); }

}  // namespace atelier::models
