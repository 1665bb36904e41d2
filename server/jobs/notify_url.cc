#include "server/jobs/notify_url.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::jobs {
namespace {

constexpr std::size_t kMaxCharacters = 2000;

}  // namespace

std::string NotifyUrlProblem(absl::string_view url) {
  if (url.size() > kMaxCharacters) {
    return absl::StrCat("the URL has ", url.size(), " characters; at most ", kMaxCharacters,
                        " are accepted");
  }
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (!printable) return "the URL has blanks or characters beyond ASCII; encode them as %20";
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "https://") && !absl::ConsumePrefix(&rest, "http://")) {
    return absl::StrCat("'", url, "' is no URL; give one like https://example.org/ended");
  }
  if (rest.empty() || rest.find_first_of("/?#:") == 0) {
    return absl::StrCat("'", url, "' names no host; give a URL like https://example.org/ended");
  }
  return "";
}

}  // namespace atelier::jobs
