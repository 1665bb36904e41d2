#include "tests/fuzz/entries.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace atelier::fuzz {
namespace {

// More take longer and find nothing else.
constexpr std::size_t kMaxEntries = 8;
constexpr char kNext[] = "\n--next\n";
constexpr char kMore[] = "\n--more\n";

const Place* FindPlace(absl::string_view name) {
  const std::vector<Place>& places = Places();
  std::uint32_t sum = 0;
  for (const Place& place : places) {
    if (place.name == name) return &place;
  }
  for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
  return &places[sum % places.size()];
}

}  // namespace

std::vector<Entry> ReadEntries(absl::string_view input) {
  std::vector<Entry> entries;
  for (const absl::string_view text : absl::StrSplit(input, kNext)) {
    if (entries.size() == kMaxEntries) break;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(text, absl::MaxSplits('\n', 1));
    entries.push_back({FindPlace(parts.first), absl::StrSplit(parts.second, kMore)});
    // Nothing at all is split into nothing.
    if (entries.back().messages.empty()) entries.back().messages.emplace_back();
  }
  return entries;
}

std::string WriteEntries(const std::vector<Entry>& entries) {
  return absl::StrJoin(entries, kNext, [](std::string* out, const Entry& entry) {
    absl::StrAppend(out, entry.place->name, "\n", absl::StrJoin(entry.messages, kMore));
  });
}

}  // namespace atelier::fuzz
