// The experiments' part of the transaction that stores a job.
#ifndef ATELIER_SERVER_STORE_RUN_ROWS_H_
#define ATELIER_SERVER_STORE_RUN_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include "absl/strings/string_view.h"

namespace atelier::store {

// Gives the run whose request made a job that job; nothing if the request is no run's. Throws
// SQLite::Exception.
void AssignJob(SQLite::Database& database, absl::string_view request_id, absl::string_view job);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_RUN_ROWS_H_
