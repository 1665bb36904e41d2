// What jobs need of the registry and the data sets: checked in the transactions that store jobs and
// that delete versions.
#ifndef ATELIER_SERVER_STORE_NEEDS_H_
#define ATELIER_SERVER_STORE_NEEDS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"

namespace atelier::store {

// What a job needs: the version of a model, as its resource name, and a data set, as
// TrainingSpec.dataset; empty for none.
struct Needed {
  std::string version;
  std::string dataset;
};
Needed NeededBy(const v1::TrainingJob& job);
Needed NeededBy(const v1::TrainingSpec& spec);

// NOT_FOUND (VERSION_NOT_FOUND) if the version of a model or that of a pushed data set is gone.
absl::Status CheckPresent(SQLite::Database& database, const Needed& needed);

// FAILED_PRECONDITION with `reason` if a job or an experiment that has not ended needs what is to
// be deleted, which the error calls `what` and `is_it` tells.
absl::Status CheckUnneeded(SQLite::Database& database, absl::string_view reason,
                           absl::string_view what, absl::FunctionRef<bool(const Needed&)> is_it);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_NEEDS_H_
