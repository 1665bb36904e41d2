#include "proto/flags/size.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace atelier::flags {
namespace {

constexpr double kKi = 1024;
constexpr std::array<std::pair<absl::string_view, double>, 10> kUnits = {
    {{"", 1},
     {"b", 1},
     {"kib", kKi},
     {"mib", kKi* kKi},
     {"gib", kKi* kKi* kKi},
     {"tib", kKi* kKi* kKi* kKi},
     {"kb", 1e3},
     {"mb", 1e6},
     {"gb", 1e9},
     {"tb", 1e12}}};

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, 64)), "' ", why));
}

}  // namespace

absl::StatusOr<std::int64_t> ParseSize(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  const auto digits = std::min(trimmed.find_first_not_of("0123456789."), trimmed.size());
  const std::string word =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(trimmed.substr(digits)));
  double number = 0;
  const bool is_number = absl::SimpleAtod(trimmed.substr(0, digits), &number);
  for (const auto& [unit, factor] : kUnits) {
    if (!is_number || word != unit) continue;
    const double bytes = std::round(number * factor);
    if (bytes >= static_cast<double>(std::numeric_limits<std::int64_t>::max())) {
      return Wrong(text, "is more memory than any machine has.");
    }
    return static_cast<std::int64_t>(bytes);
  }
  return Wrong(text,
               "is not a size; write one like 2GiB, 512MiB or a number of bytes (units: KiB, "
               "MiB, GiB, TiB, KB, MB, GB, TB).");
}

bool AbslParseFlag(absl::string_view text, Size* size, std::string* error) {
  const auto parsed = ParseSize(text);
  if (!parsed.ok()) {
    *error = std::string(parsed.status().message());
    return false;
  }
  size->bytes = *parsed;
  return true;
}

// The largest unit of which it is a whole number.
std::string AbslUnparseFlag(const Size& size) {
  static constexpr std::array<const char*, 5> kWords = {"", "KiB", "MiB", "GiB", "TiB"};
  std::int64_t number = size.bytes;
  std::size_t unit = 0;
  while (unit + 1 < kWords.size() && number != 0 && number % 1024 == 0) {
    number /= 1024;
    ++unit;
  }
  return absl::StrCat(number, kWords[unit]);
}

}  // namespace atelier::flags
