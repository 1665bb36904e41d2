#include "server/objects/aws_credentials.h"

#include <cstdlib>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "models/files/durable_file.h"

namespace atelier::objects {
namespace {

constexpr std::int64_t kMaxFile = std::int64_t{1} << 20;

}  // namespace

std::string ProcessEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

absl::StatusOr<Credentials> ReadProfile(absl::string_view text, absl::string_view profile) {
  std::map<std::string, std::string> values;
  bool inside = false;
  bool found = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      inside = absl::StripAsciiWhitespace(line.substr(1, line.find(']') - 1)) == profile;
      found = found || inside;
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (!inside) continue;
    values[absl::AsciiStrToLower(absl::StripAsciiWhitespace(parts.first))] =
        std::string(absl::StripAsciiWhitespace(parts.second));
  }
  if (!found) return absl::NotFoundError(absl::StrCat("has no profile [", profile, "]"));
  Credentials credentials{.access_key = values["aws_access_key_id"],
                          .secret_key = values["aws_secret_access_key"],
                          .session_token = values["aws_session_token"]};
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  return absl::NotFoundError(
      absl::StrCat("has no aws_access_key_id and aws_secret_access_key in "
                   "its profile [",
                   profile, "]"));
}

absl::StatusOr<Credentials> FindCredentials(const Environment& environment) {
  Credentials credentials{.access_key = environment("AWS_ACCESS_KEY_ID"),
                          .secret_key = environment("AWS_SECRET_ACCESS_KEY"),
                          .session_token = environment("AWS_SESSION_TOKEN")};
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  std::string path = environment("AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty()) path = absl::StrCat(environment("HOME"), "/.aws/credentials");
  std::string profile = environment("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  const auto text = models::ReadWholeFile(path, kMaxFile);
  if (!text.ok()) {
    return absl::UnauthenticatedError(
        absl::StrCat("there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are "
                     "not set, and ",
                     absl::StripSuffix(text.status().message(), ".")));
  }
  auto read = ReadProfile(*text, profile);
  if (read.ok()) return read;
  return absl::UnauthenticatedError(
      absl::StrCat("there are no credentials: ", path, " ", read.status().message()));
}

}  // namespace atelier::objects
