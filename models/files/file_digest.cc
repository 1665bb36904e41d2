#include "models/files/file_digest.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
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

bool IsSha256(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

}  // namespace atelier::models
