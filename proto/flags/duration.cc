#include "proto/flags/duration.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace atelier::flags {

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && !std::isnan(seconds)) return absl::Seconds(seconds);
  absl::Duration duration;
  if (absl::ParseDuration(text, &duration)) return duration;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a duration; write one like 8, 8s, 500ms or 2m."));
}

bool AbslParseFlag(absl::string_view text, Duration* duration, std::string* error) {
  const auto parsed = ParseDuration(text);
  if (!parsed.ok()) {
    *error = std::string(parsed.status().message());
    return false;
  }
  duration->value = *parsed;
  return true;
}

std::string AbslUnparseFlag(const Duration& duration) {
  return absl::FormatDuration(duration.value);
}

}  // namespace atelier::flags
