// Checks a request to import a data set and fills in what was left out. Thread-safe: pure
// functions.
#ifndef ATELIER_SERVER_JOBS_IMPORT_REQUEST_H_
#define ATELIER_SERVER_JOBS_IMPORT_REQUEST_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::jobs {

// The options with every default filled in, so that equal ones are equal messages. INVALID_ARGUMENT
// naming every wrong field, as fields of `options`.
absl::StatusOr<v1::ImportOptions> ResolveImportOptions(const v1::ImportOptions& options);

// True if two resolved options are the same.
bool SameOptions(const v1::ImportOptions& a, const v1::ImportOptions& b);

// What the job of a request imports. `limits` says what the server has.
absl::StatusOr<v1::ImportSpec> ResolveImport(const v1::ImportDatasetRequest& request,
                                             const v1::Upload& upload,
                                             const SpecResolver::Options& limits);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_IMPORT_REQUEST_H_
