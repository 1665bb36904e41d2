#include "server/jobs/page_token.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::jobs {
namespace {

// FNV-1a: the same in every process and version, unlike absl::Hash, so that a client can go on
// paging after the server was restarted.
std::uint64_t Fingerprint(absl::string_view text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash;
}

// Binds the position to its scope, so that neither can be exchanged.
std::string Seal(absl::string_view scope, absl::string_view position) {
  const std::uint64_t hash = Fingerprint(absl::StrCat(scope, "\n", position));
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

std::string VersionsScope(absl::string_view model) { return absl::StrCat("versions:", model); }

}  // namespace

std::string MakePageToken(absl::string_view scope, absl::string_view position) {
  return absl::WebSafeBase64Escape(absl::StrCat(Seal(scope, position), position));
}

absl::StatusOr<std::string> ReadPageToken(absl::string_view scope, absl::string_view token) {
  if (token.empty()) return std::string();
  std::string text;
  if (token.size() <= 1024 && absl::WebSafeBase64Unescape(token, &text) && text.size() >= 16) {
    const absl::string_view position = absl::string_view(text).substr(16);
    if (absl::string_view(text).substr(0, 16) == Seal(scope, position)) {
      return std::string(position);
    }
  }
  return InvalidField("page_token",
                      "The page token does not belong to this list with these filters; "
                      "use next_page_token unchanged, or leave it empty for the first page.");
}

std::string MakeVersionsToken(absl::string_view model, std::int64_t last) {
  return MakePageToken(VersionsScope(model), absl::StrCat(last));
}

absl::StatusOr<std::int64_t> ReadVersionsToken(absl::string_view model, absl::string_view token) {
  const auto position = ReadPageToken(VersionsScope(model), token);
  if (!position.ok()) return position.status();
  std::int64_t before = INT64_MAX;
  if (!position->empty() && !absl::SimpleAtoi(*position, &before)) {
    return absl::InternalError("A page token holds no number.");
  }
  return before;
}

absl::StatusOr<int> ResolvePageSize(int requested, int default_size, int max_size) {
  if (requested < 0 || requested > max_size) {
    return InvalidField("page_size",
                        absl::StrCat("The page size is ", requested, "; it must be 1 to ", max_size,
                                     ", or 0 for ", default_size, "."));
  }
  return requested == 0 ? default_size : requested;
}

std::string ClipText(absl::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "…");
}

bool PageRoom::Take(std::size_t bytes) {
  const bool first = bytes_ == 0;
  if (!first && (elements_ <= 0 || bytes_ + bytes > kBytes)) return false;
  --elements_;
  bytes_ += bytes + 1;
  return true;
}

}  // namespace atelier::jobs
