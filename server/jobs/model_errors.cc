#include "server/jobs/model_errors.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

absl::Status NoModel(absl::string_view model) {
  return Error(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
               absl::StrCat("There is no model ", model, "."));
}

absl::Status NoVersion(absl::string_view model, std::int64_t version) {
  return Error(absl::StatusCode::kNotFound, "VERSION_NOT_FOUND",
               absl::StrCat("Model ", model, " has no version ", version, "."));
}

absl::Status NoLatest(absl::string_view model) {
  return Error(absl::StatusCode::kFailedPrecondition, "NO_LATEST_VERSION",
               absl::StrCat("No version of model ", model,
                            " is its latest: what was stopped, what diverged and what "
                            "differs from the latest there was never is; name a version."));
}

absl::Status NoReference(absl::string_view model, absl::string_view reference) {
  return Error(absl::StatusCode::kNotFound, "ALIAS_NOT_FOUND",
               absl::StrCat("Model ", model, " has no version and no alias '",
                            absl::Utf8SafeCEscape(reference.substr(0, 80)), "'."));
}

}  // namespace atelier::jobs
