// The registry's part of the transactions that store jobs and experiments.
#ifndef ATELIER_SERVER_STORE_MODEL_ROWS_H_
#define ATELIER_SERVER_STORE_MODEL_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::store {

// Adds a version whose number was reserved. Throws SQLite::Exception.
void RegisterVersion(SQLite::Database& database, const v1::ModelVersion& version);

// NOT_FOUND (VERSION_NOT_FOUND) if the version that a training starts from is gone.
absl::Status CheckVersionOf(SQLite::Database& database, const v1::TrainingSpec& spec);

// The names of jobs and experiments that have not ended and start from a version, or from any of
// the model (0): at most so many.
std::vector<std::string> NeededBy(SQLite::Database& database, absl::string_view model,
                                  std::int64_t version, std::size_t most);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_MODEL_ROWS_H_
