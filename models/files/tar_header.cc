#include "models/files/tar_header.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atelier::models {
namespace {

constexpr int64_t kBlock = 512;
constexpr size_t kShortName = 100;
constexpr int64_t kLargestOctal = (int64_t{1} << 33) - 1;  // Eleven digits.

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

// One block of the ustar format.
std::string Block(absl::string_view name, int64_t size, char type) {
  std::string block(kBlock, '\0');
  const auto put = [&](size_t at, absl::string_view text) {
    std::copy(text.begin(), text.end(), block.begin() + static_cast<ptrdiff_t>(at));
  };
  put(0, name.substr(0, kShortName));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, absl::StrFormat("%011o", std::min(size, kLargestOctal)));
  put(136, "00000000000");
  put(148, "        ");
  block[156] = type;
  put(257, absl::string_view("ustar\0"
                             "00",
                             8));
  unsigned sum = 0;
  for (const unsigned char c : block) sum += c;
  put(148, absl::StrFormat("%06o", sum));
  block[154] = '\0';
  return block;
}

// A record of an extended header: its own length, then `key=value`.
std::string ExtendedRecord(absl::string_view key, absl::string_view value) {
  const std::string rest = absl::StrCat(" ", key, "=", value, "\n");
  size_t length = rest.size() + 1;
  while (absl::StrCat(length).size() + rest.size() != length) ++length;
  return absl::StrCat(length, rest);
}

}  // namespace

std::string TarHeader(absl::string_view name, int64_t size) {
  std::string records;
  if (name.size() > kShortName || !IsAscii(name)) records = ExtendedRecord("path", name);
  if (size > kLargestOctal) absl::StrAppend(&records, ExtendedRecord("size", absl::StrCat(size)));
  if (records.empty()) return Block(name, size, '0');
  const auto length = static_cast<int64_t>(records.size());
  records.resize(static_cast<size_t>(length + TarPadding(length)), '\0');
  return absl::StrCat(Block("PaxHeaders/file", length, 'x'), records, Block(name, size, '0'));
}

int64_t TarPadding(int64_t size) { return (kBlock - size % kBlock) % kBlock; }

std::string TarEnd() { return std::string(static_cast<size_t>(2 * kBlock), '\0'); }

}  // namespace atelier::models
