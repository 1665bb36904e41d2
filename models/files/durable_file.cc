#include "models/files/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "models/base/failure.h"
#include "models/files/file_io.h"
#include "models/files/regular_file.h"

namespace atelier::models {
namespace {

absl::Status SystemFailure(absl::string_view doing, const std::string& path) {
  return Failure(FailureReason::kInternal,
                 absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
}

// Owns a descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

absl::Status WriteAndSync(const std::string& path, absl::string_view bytes) {
  const File file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.open()) return SystemFailure("creating", path);
  if (!WriteAll(file.get(), bytes)) return SystemFailure("writing", path);
  if (fsync(file.get()) != 0) return SystemFailure("syncing", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes) {
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".tmp");
  absl::Status status = WriteAndSync(temporary, bytes);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = SystemFailure(absl::StrCat("renaming ", temporary, " to"), path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const std::string folder = FolderOf(path);
  return SyncPath(folder) ? absl::OkStatus() : SystemFailure("syncing", folder);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes) {
  const absl::StatusOr<RegularFile> file = RegularFile::Open(path);
  if (!file.ok()) return Failure(FailureReason::kInternal, file.status().message());
  if (file->size() > max_bytes) {
    return Failure(
        FailureReason::kInternal,
        absl::StrCat(path, " has ", file->size(), " bytes; at most ", max_bytes, " are accepted"));
  }
  std::string bytes(static_cast<size_t>(file->size()), '\0');
  const absl::StatusOr<size_t> got = file->Read(0, bytes.data(), bytes.size());
  if (!got.ok()) return Failure(FailureReason::kInternal, got.status().message());
  bytes.resize(*got);
  return bytes;
}

}  // namespace atelier::models
