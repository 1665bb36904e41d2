#include "models/import/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/files/file_io.h"

namespace atelier::models {
namespace {

absl::Status SystemFailure(absl::string_view doing, const std::string& path) {
  return Failure(FailureReason::kInternal,
                 absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return SystemFailure("creating", path);
  return OutputFile(path, descriptor);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status OutputFile::Write(int64_t at, absl::Span<const uint8_t> bytes) const {
  const absl::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return WriteAllAt(descriptor_, all, at) ? absl::OkStatus() : SystemFailure("writing", path_);
}

void OutputFile::BeginSync(int64_t at, int64_t bytes) const {
  sync_file_range(descriptor_, at, bytes, SYNC_FILE_RANGE_WRITE);
}

absl::Status OutputFile::Read(int64_t at, absl::Span<uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = pread(descriptor_, bytes.data(), bytes.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailure("reading", path_);
    if (got == 0) {
      return Failure(FailureReason::kInternal, absl::StrCat(path_, " became shorter"));
    }
    bytes.remove_prefix(static_cast<size_t>(got));
    at += got;
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Keep() {
  if (fsync(descriptor_) != 0) return SystemFailure("syncing", path_);
  if (close(std::exchange(descriptor_, -1)) != 0) return SystemFailure("closing", path_);
  path_.clear();
  return absl::OkStatus();
}

}  // namespace atelier::models
