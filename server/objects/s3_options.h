// Where objects are kept: --artifacts or --registry and the flags --s3_*, validated. Values;
// thread-safe.
#ifndef ATELIER_SERVER_OBJECTS_S3_OPTIONS_H_
#define ATELIER_SERVER_OBJECTS_S3_OPTIONS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/objects/aws_credentials.h"

namespace atelier::objects {

struct S3Options {
  std::string bucket;
  std::string prefix;  // Of every key, without slashes at its ends; may be empty.
  bool tls = true;
  std::string host;  // With its port, if that is not the scheme's; the bucket's, or `path_style`.
  bool path_style = false;
  std::string region;

  // The value of the flag called `flag`, and the other flags by their names: s3_endpoint,
  // s3_region, s3_path_style. What is empty is looked for where the AWS tools do
  // (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION), and is Amazon's in
  // us-east-1 in the end. INVALID_ARGUMENT with a sentence that names the first wrong flag.
  static absl::StatusOr<S3Options> Create(absl::string_view location,
                                          const std::map<std::string, std::string>& flags,
                                          const Environment& environment,
                                          absl::string_view flag = "artifacts");

  // A key's full one: behind the prefix.
  std::string FullKey(absl::string_view key) const;
  // `s3://bucket/prefix/key`.
  std::string Uri(absl::string_view key) const;
  // `s3://bucket/prefix`.
  std::string Location() const;
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_S3_OPTIONS_H_
