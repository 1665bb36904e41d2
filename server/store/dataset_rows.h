// Rows of data sets that are written together with those of jobs.
#ifndef ATELIER_SERVER_STORE_DATASET_ROWS_H_
#define ATELIER_SERVER_STORE_DATASET_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include "atelier/v1/dataset_service.pb.h"

namespace atelier::store {

// Throws if there is a version of that number.
void RegisterDataset(SQLite::Database& database, const v1::Dataset& version);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_DATASET_ROWS_H_
