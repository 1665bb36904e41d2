#include "models/training/fold_file.h"

#include <bit>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"
#include "models/files/sha256.h"

namespace atelier::models {
namespace {

static_assert(std::endian::native == std::endian::little, "files hold numbers as memory does");

constexpr absl::string_view kMagic = "atelier-fold 1\n";
constexpr size_t kDigestSize = 64;

std::string PathOf(const std::string& dir, int64_t fold) {
  return absl::StrCat(dir, "/fold-", fold);
}

std::string HeaderOf(absl::string_view fingerprint) {
  return absl::StrCat(kMagic, Sha256Of(fingerprint), "\n");
}

}  // namespace

absl::Status WriteFold(const std::string& dir, int64_t fold, absl::string_view fingerprint,
                       absl::Span<const float> numbers) {
  std::string bytes = HeaderOf(fingerprint);
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
  bytes += Sha256Of(bytes);
  return WriteFileDurably(PathOf(dir, fold), bytes);
}

std::optional<std::vector<float>> FindFold(const std::vector<std::string>& dirs, int64_t fold,
                                           absl::string_view fingerprint, size_t numbers) {
  const std::string header = HeaderOf(fingerprint);
  const size_t size = header.size() + numbers * sizeof(float) + kDigestSize;
  for (const std::string& dir : dirs) {
    const auto bytes = ReadWholeFile(PathOf(dir, fold), static_cast<int64_t>(size));
    if (!bytes.ok() || bytes->size() != size || !absl::StartsWith(*bytes, header)) continue;
    const absl::string_view content = absl::string_view(*bytes).substr(0, size - kDigestSize);
    if (Sha256Of(content) != absl::string_view(*bytes).substr(content.size())) continue;
    std::vector<float> found(numbers);
    if (numbers > 0)
      std::memcpy(found.data(), content.data() + header.size(), numbers * sizeof(float));
    return found;
  }
  return std::nullopt;
}

}  // namespace atelier::models
