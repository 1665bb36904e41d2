// Credentials as the AWS tools find them: the environment's AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else the profile AWS_PROFILE (`default`) of
// AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials).
#ifndef ATELIER_SERVER_OBJECTS_AWS_CREDENTIALS_H_
#define ATELIER_SERVER_OBJECTS_AWS_CREDENTIALS_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/objects/signature.h"

namespace atelier::objects {

// An environment variable's value; empty if it is not set.
using Environment = std::function<std::string(const std::string& name)>;
std::string ProcessEnvironment(const std::string& name);

// Looks anew with every call, so that keys may be changed while the server runs. UNAUTHENTICATED
// with a sentence's end: what is missing, and where it was looked for. Thread-safe.
absl::StatusOr<Credentials> FindCredentials(const Environment& environment);

// Those of a profile in the text of a credentials file. NOT_FOUND with a sentence's end.
absl::StatusOr<Credentials> ReadProfile(absl::string_view text, absl::string_view profile);

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_AWS_CREDENTIALS_H_
