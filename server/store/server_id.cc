#include "server/store/server_id.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"

namespace atelier::store {
namespace {

constexpr std::size_t kDigits = 16;
constexpr std::int64_t kMaxShared = std::int64_t{1} << 20;

absl::Status Failed(absl::string_view what, const absl::Status& why) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", why.message(), "."));
}

bool IsId(absl::string_view text) {
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

}  // namespace

absl::StatusOr<std::string> ServerId(const std::string& data_dir) {
  const std::string path = absl::StrCat(data_dir, "/server-id");
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    const auto read = models::ReadWholeFile(path, kMaxShared);
    if (!read.ok()) return Failed(path, read.status());
    const std::string id(absl::StripAsciiWhitespace(*read));
    if (IsId(id)) return id;
    return absl::FailedPreconditionError(
        absl::StrCat(path, " does not hold ", kDigits,
                     " hexadecimal digits; remove it if no job of this server "
                     "is left on its cluster."));
  }
  std::random_device source;
  const std::string id =
      absl::StrCat(absl::Hex(source(), absl::kZeroPad8), absl::Hex(source(), absl::kZeroPad8));
  const absl::Status written = models::WriteFileDurably(path, id + "\n");
  if (!written.ok()) return Failed(path, written);
  return id;
}

absl::StatusOr<std::string> ShareFile(const std::string& path, const std::string& data_dir,
                                      const std::string& name) {
  const auto content = models::ReadWholeFile(path, kMaxShared);
  if (!content.ok()) return Failed(path, content.status());
  const std::string copy = absl::StrCat(data_dir, "/", name);
  // A file that is replaced is out of the sight of workers that run.
  std::error_code ignored;
  if (std::filesystem::exists(copy, ignored)) {
    const auto before = models::ReadWholeFile(copy, kMaxShared);
    if (before.ok() && *before == *content) return copy;
  }
  const absl::Status written = models::WriteFileDurably(copy, *content);
  if (!written.ok()) return Failed(copy, written);
  return copy;
}

}  // namespace atelier::store
