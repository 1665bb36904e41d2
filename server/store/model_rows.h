// The registry's part of the transaction that ends a job.
#ifndef ATELIER_SERVER_STORE_MODEL_ROWS_H_
#define ATELIER_SERVER_STORE_MODEL_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include "atelier/v1/model_service.pb.h"

namespace atelier::store {

// Adds a version whose number was reserved. Throws SQLite::Exception.
void RegisterVersion(SQLite::Database& database, const v1::ModelVersion& version);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_MODEL_ROWS_H_
