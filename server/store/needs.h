// What trainings need of the registry and the data sets: checked in the transactions that store
// trainings and that delete versions.
#ifndef ATELIER_SERVER_STORE_NEEDS_H_
#define ATELIER_SERVER_STORE_NEEDS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"

namespace atelier::store {

// NOT_FOUND (VERSION_NOT_FOUND) if the version of a model that a training starts from, or that of a
// pushed data set that it trains on, is gone.
absl::Status CheckPresent(SQLite::Database& database, const v1::TrainingSpec& spec);

// FAILED_PRECONDITION with `reason` if a job or an experiment that has not ended has a
// specification that `needs` what is to be deleted, which the error calls `what`.
absl::Status CheckUnneeded(SQLite::Database& database, absl::string_view reason,
                           absl::string_view what,
                           absl::FunctionRef<bool(const v1::TrainingSpec&)> needs);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_NEEDS_H_
