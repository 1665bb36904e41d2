#include "server/rpc/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace atelier::rpc {

absl::StatusOr<std::unique_ptr<FileReader>> FileReader::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) return absl::NotFoundError(absl::StrCat(path, " does not exist."));
    return absl::InternalError(absl::ErrnoToStatus(error, path).message());
  }
  return std::unique_ptr<FileReader>(new FileReader(path, fd));
}

FileReader::~FileReader() { close(fd_); }

absl::StatusOr<std::string> FileReader::Read(std::int64_t offset, std::size_t limit) {
  std::string bytes(limit, '\0');
  std::size_t done = 0;
  while (done < limit) {
    const ssize_t count =
        pread(fd_, bytes.data() + done, limit - done, offset + static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::InternalError(absl::ErrnoToStatus(errno, path_).message());
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

absl::StatusOr<std::int64_t> FileReader::Size() {
  struct stat file;
  if (fstat(fd_, &file) != 0) {
    return absl::InternalError(absl::ErrnoToStatus(errno, path_).message());
  }
  return file.st_size;
}

}  // namespace atelier::rpc
