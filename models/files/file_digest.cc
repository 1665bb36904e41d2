#include "models/files/file_digest.h"

#include <cstdint>
#include <vector>

#include "models/files/regular_file.h"
#include "models/files/sha256.h"

namespace atelier::models {

absl::StatusOr<std::string> Sha256OfFile(const std::string& path, const StopSignal* stop) {
  const auto file = RegularFile::Open(path);
  if (!file.ok()) return file.status();
  Sha256 sum;
  std::vector<char> buffer(size_t{1} << 20);
  for (int64_t offset = 0;;) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) {
      return absl::CancelledError("asked to end");
    }
    const auto got = file->Read(offset, buffer.data(), buffer.size());
    if (!got.ok()) return got.status();
    sum.Update(buffer.data(), *got);
    offset += static_cast<int64_t>(*got);
    if (*got < buffer.size()) return sum.Finish();
  }
}

}  // namespace atelier::models
