// Rows of `objects`: which files have copies in an object store. For use within transactions;
// exceptions as SQLiteCpp's.
#ifndef ATELIER_SERVER_STORE_OBJECT_ROWS_H_
#define ATELIER_SERVER_STORE_OBJECT_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::store {

// As jobs::ObjectList::DoomObjects.
void DoomObjects(SQLite::Database& database, absl::string_view path_prefix, absl::Time now);

// The objects of a version of a model, or of a pushed data set, that is deleted.
void DoomVersion(SQLite::Database& database, absl::string_view model, std::int64_t version);
void DoomDataset(SQLite::Database& database, absl::string_view dataset, std::int64_t version);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_OBJECT_ROWS_H_
