// What is answered for models, versions and aliases that a registry does not have: the same words,
// whatever kind of registry it is. Thread-safe: free functions.
#ifndef ATELIER_SERVER_JOBS_MODEL_ERRORS_H_
#define ATELIER_SERVER_JOBS_MODEL_ERRORS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace atelier::jobs {

// NOT_FOUND (MODEL_NOT_FOUND).
absl::Status NoModel(absl::string_view model);
// NOT_FOUND (VERSION_NOT_FOUND).
absl::Status NoVersion(absl::string_view model, std::int64_t version);
// FAILED_PRECONDITION (NO_LATEST_VERSION).
absl::Status NoLatest(absl::string_view model);
// NOT_FOUND (ALIAS_NOT_FOUND), for a reference that is no number.
absl::Status NoReference(absl::string_view model, absl::string_view reference);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_MODEL_ERRORS_H_
