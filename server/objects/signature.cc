#include "server/objects/signature.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/objects/digest.h"

namespace atelier::objects {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

std::string Day(const Scope& scope) { return AmzDate(scope.time).substr(0, 8); }

std::string ScopeText(const Scope& scope) {
  return absl::StrCat(Day(scope), "/", scope.region, "/", scope.service, "/aws4_request");
}

std::string HeaderNames(const SignedRequest& request) {
  return absl::StrJoin(request.headers, ";", [](std::string* out, const auto& header) {
    absl::StrAppend(out, header.first);
  });
}

std::string CanonicalRequest(const SignedRequest& request) {
  const std::string headers =
      absl::StrJoin(request.headers, "", [](std::string* out, const auto& header) {
        absl::StrAppend(out, header.first, ":", header.second, "\n");
      });
  return absl::StrJoin(
      {request.method, UriEncode(request.path, true), CanonicalQuery(request.query), headers,
       HeaderNames(request), request.payload_sha256},
      "\n");
}

}  // namespace

std::string UriEncode(absl::string_view text, bool keep_slash) {
  constexpr absl::string_view kDigits = "0123456789ABCDEF";
  constexpr absl::string_view kPlain = "-._~";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || kPlain.find(c) != absl::string_view::npos ||
        (keep_slash && c == '/')) {
      encoded.push_back(c);
    } else {
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

std::string CanonicalQuery(const Query& query) {
  // Sorted as encoded, which is another order than that of the names.
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : query) {
    encoded.emplace_back(UriEncode(name, false), UriEncode(value, false));
  }
  std::sort(encoded.begin(), encoded.end());
  return absl::StrJoin(encoded, "&", absl::PairFormatter("="));
}

std::string AmzDate(absl::Time time) {
  return absl::FormatTime("%Y%m%dT%H%M%SZ", time, absl::UTCTimeZone());
}

std::string SignatureOf(const SignedRequest& request, const Scope& scope,
                        const std::string& secret_key) {
  const std::string to_sign =
      absl::StrJoin({std::string(kAlgorithm), AmzDate(scope.time), ScopeText(scope),
                     Hex(Sha256(CanonicalRequest(request)))},
                    "\n");
  std::string key = HmacSha256("AWS4" + secret_key, Day(scope));
  key = HmacSha256(key, scope.region);
  key = HmacSha256(key, scope.service);
  key = HmacSha256(key, "aws4_request");
  return Hex(HmacSha256(key, to_sign));
}

std::string AuthorizationOf(const SignedRequest& request, const Scope& scope,
                            const Credentials& credentials) {
  return absl::StrCat(kAlgorithm, " Credential=", credentials.access_key, "/", ScopeText(scope),
                      ",SignedHeaders=", HeaderNames(request),
                      ",Signature=", SignatureOf(request, scope, credentials.secret_key));
}

}  // namespace atelier::objects
