#include "server/objects/s3_options.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/base/wrong_flag.h"

namespace atelier::objects {
namespace {

// Of S3's 1,024 bytes for a key, what our own part of it may need is left over.
constexpr std::size_t kMaxPrefix = 500;

bool IsBucket(absl::string_view name) {
  const auto fits = [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '.';
  };
  return name.size() >= 3 && name.size() <= 63 && std::all_of(name.begin(), name.end(), fits) &&
         absl::ascii_isalnum(name.front()) && absl::ascii_isalnum(name.back());
}

// What cannot stand in a prefix, as half a sentence; empty if nothing is wrong.
std::string PrefixProblem(absl::string_view prefix) {
  if (prefix.size() > kMaxPrefix) {
    return absl::StrCat("the prefix has ", prefix.size(), " bytes; ", kMaxPrefix, " are allowed");
  }
  for (const absl::string_view part : absl::StrSplit(prefix, '/')) {
    // Proxies and libcurl take these for steps in a path.
    if (part.empty() || part == "." || part == "..") {
      return absl::StrCat("the prefix '", prefix, "' has an empty part, or one that is . or ..");
    }
  }
  const auto control = [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); };
  if (std::any_of(prefix.begin(), prefix.end(), control))
    return "the prefix has control characters";
  return "";
}

std::string FirstOf(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return "";
}

std::string ValueOf(const std::map<std::string, std::string>& flags, const std::string& name) {
  const auto value = flags.find(name);
  return value == flags.end() ? "" : value->second;
}

absl::Status ReadLocation(absl::string_view flag, absl::string_view location, S3Options* options) {
  if (!absl::ConsumePrefix(&location, "s3://")) {
    return WrongFlag(flag, absl::StrCat("'", location, "' is not s3://BUCKET/PREFIX"));
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(location, absl::MaxSplits('/', 1));
  if (!IsBucket(parts.first)) {
    return WrongFlag(flag, absl::StrCat("'", parts.first,
                                        "' is no bucket's name: 3 to 63 characters of a-z, 0-9, "
                                        "'-' and '.'"));
  }
  options->bucket = std::string(parts.first);
  options->prefix = std::string(absl::StripSuffix(parts.second, "/"));
  const std::string problem = options->prefix.empty() ? "" : PrefixProblem(options->prefix);
  return problem.empty() ? absl::OkStatus() : WrongFlag(flag, problem);
}

absl::Status ReadEndpoint(absl::string_view endpoint, S3Options* options) {
  absl::string_view host = endpoint;
  options->tls = !absl::ConsumePrefix(&host, "http://");
  const bool scheme = !options->tls || absl::ConsumePrefix(&host, "https://");
  host = absl::StripSuffix(host, "/");
  const auto fits = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("-._:[]", absl::string_view(&c, 1));
  };
  if (!scheme || host.empty() || !std::all_of(host.begin(), host.end(), fits)) {
    return WrongFlag("s3_endpoint",
                     absl::StrCat("'", endpoint,
                                  "' is not http://HOST:PORT or https://HOST, without a "
                                  "path"));
  }
  // As the host stands in the signature, and in what libcurl sends: without the scheme's own port.
  options->host = absl::AsciiStrToLower(absl::StripSuffix(host, options->tls ? ":443" : ":80"));
  return absl::OkStatus();
}

absl::Status ReadPathStyle(const std::string& style, bool amazon, S3Options* options) {
  if (style != "" && style != "auto" && style != "true" && style != "false") {
    return WrongFlag("s3_path_style", absl::StrCat("'", style, "' is not auto, true or false"));
  }
  // A name with dots is not covered by a store's certificate.
  options->path_style =
      style == "true" || (style != "false" && (!amazon || absl::StrContains(options->bucket, '.')));
  if (!options->path_style) options->host = absl::StrCat(options->bucket, ".", options->host);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<S3Options> S3Options::Create(absl::string_view location,
                                            const std::map<std::string, std::string>& flags,
                                            const Environment& environment,
                                            absl::string_view flag) {
  S3Options options;
  if (auto status = ReadLocation(flag, location, &options); !status.ok()) return status;
  options.region = FirstOf({ValueOf(flags, "s3_region"), environment("AWS_REGION"),
                            environment("AWS_DEFAULT_REGION"), "us-east-1"});
  const auto fits = [](char c) { return absl::ascii_isalnum(c) || c == '-'; };
  if (!std::all_of(options.region.begin(), options.region.end(), fits)) {
    return WrongFlag("s3_region",
                     absl::StrCat("'", options.region, "' is no region such as eu-central-1"));
  }
  const std::string endpoint =
      FirstOf({ValueOf(flags, "s3_endpoint"), environment("AWS_ENDPOINT_URL_S3"),
               environment("AWS_ENDPOINT_URL")});
  const std::string amazon = absl::StrCat("https://s3.", options.region, ".amazonaws.com");
  absl::Status status = ReadEndpoint(endpoint.empty() ? amazon : endpoint, &options);
  if (status.ok()) {
    status = ReadPathStyle(ValueOf(flags, "s3_path_style"), endpoint.empty(), &options);
  }
  if (!status.ok()) return status;
  return options;
}

std::string S3Options::FullKey(absl::string_view key) const {
  return prefix.empty() ? std::string(key) : absl::StrCat(prefix, "/", key);
}

std::string S3Options::Uri(absl::string_view key) const {
  return absl::StrCat("s3://", bucket, "/", FullKey(key));
}

std::string S3Options::Location() const {
  return absl::StrCat("s3://", bucket, prefix.empty() ? "" : "/", prefix);
}

}  // namespace atelier::objects
