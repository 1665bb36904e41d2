#include "server/rpc/file_reader.h"

#include <sys/stat.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/connection_listener.h"

namespace atelier::rpc {

absl::StatusOr<std::unique_ptr<FileReader>> FileReader::Open(const std::string& path) {
  auto file = models::RegularFile::Open(path);
  if (!file.ok()) {
    const std::string message = absl::StrCat(file.status().message(), ".");
    if (absl::IsNotFound(file.status())) return absl::NotFoundError(message);
    return absl::InternalError(message);
  }
  if (file->descriptor() > LastDescriptorForClients()) {
    return absl::ResourceExhaustedError(
        "The server has too many files and connections open; try again later.");
  }
  return std::unique_ptr<FileReader>(new FileReader(path, *std::move(file)));
}

absl::StatusOr<std::string> FileReader::Read(std::int64_t offset, std::size_t limit) {
  std::string bytes(limit, '\0');
  const auto got = file_.Read(offset, bytes.data(), limit);
  if (!got.ok()) return absl::InternalError(got.status().message());
  bytes.resize(*got);
  return bytes;
}

absl::StatusOr<std::int64_t> FileReader::Size() {
  struct stat file;
  if (fstat(file_.descriptor(), &file) != 0) {
    return absl::InternalError(absl::ErrnoToStatus(errno, path_).message());
  }
  return file.st_size;
}

}  // namespace atelier::rpc
