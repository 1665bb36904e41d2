// AWS Signature Version 4: what an S3-compatible store knows a request by. As documented in "Amazon
// S3 API Reference: Authenticating Requests (AWS Signature Version 4)". Thread-safe: pure
// functions.
#ifndef ATELIER_SERVER_OBJECTS_SIGNATURE_H_
#define ATELIER_SERVER_OBJECTS_SIGNATURE_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::objects {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // Empty for lasting keys.
};

// By name; neither is encoded yet.
using Query = std::map<std::string, std::string>;

struct SignedRequest {
  std::string method = "GET";
  std::string path = "/";  // Begins with a slash; not encoded yet.
  Query query = {};
  // By lower-case name, without spaces around the values: `host` and all others that are signed.
  std::map<std::string, std::string> headers = {};
  std::string payload_sha256 = {};  // 64 lower-case hexadecimal digits, or UNSIGNED-PAYLOAD.
};

struct Scope {
  absl::Time time;
  std::string region;
  std::string service = "s3";
};

// Percent-encoding as the signature wants it: everything but A-Z a-z 0-9 - . _ ~, and `/` where
// `keep_slash`.
std::string UriEncode(absl::string_view text, bool keep_slash);
// `a=1&b=` as it stands in the URL: encoded and sorted.
std::string CanonicalQuery(const Query& query);
// `20130524T000000Z`.
std::string AmzDate(absl::Time time);

// 64 lower-case hexadecimal digits.
std::string SignatureOf(const SignedRequest& request, const Scope& scope,
                        const std::string& secret_key);
// The value of the header `Authorization`.
std::string AuthorizationOf(const SignedRequest& request, const Scope& scope,
                            const Credentials& credentials);

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_SIGNATURE_H_
