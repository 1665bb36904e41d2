// Errors as the services answer them. A status made here carries its google.rpc detail as a payload
// under the detail's own type URL, so the gRPC layer copies every payload into google.rpc.Status
// without knowing what it is.
#ifndef ATELIER_SERVER_JOBS_ERROR_H_
#define ATELIER_SERVER_JOBS_ERROR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace atelier::jobs {

// Type URLs of the payloads; the values are serialized messages.
inline constexpr absl::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr absl::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";

// An error with a stable reason for programs (UPPER_SNAKE_CASE, google.rpc.ErrorInfo of domain
// `atelier`) and a sentence for people. `code` must not be kOk.
absl::Status Error(absl::StatusCode code, absl::string_view reason, absl::string_view message);

// The reason of an error made by Error; empty for any other status.
std::string ReasonOf(const absl::Status& status);

// One wrong field of a request.
struct FieldViolation {
  std::string field;        // Path, such as `spec.epochs`.
  std::string description;  // What is wrong and what would be right.
};

// INVALID_ARGUMENT that names every wrong field (google.rpc.BadRequest); OK if there is none. The
// message joins the descriptions.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// INVALID_ARGUMENT for one wrong field.
absl::Status InvalidField(absl::string_view field, absl::string_view description);

// The wrong fields an error names; empty if it names none.
std::vector<FieldViolation> ViolationsOf(const absl::Status& status);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_ERROR_H_
