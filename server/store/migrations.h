// The database's schema, as the steps that lead from an empty database to the newest version. A
// step that was released is never changed; a new need is a new step.
#ifndef ATELIER_SERVER_STORE_MIGRATIONS_H_
#define ATELIER_SERVER_STORE_MIGRATIONS_H_

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace SQLite {
class Database;
}

namespace atelier::store {

// SQL of each step, in order; a database's `user_version` counts the steps taken.
absl::Span<const char* const> SchemaSteps();

// FAILED_PRECONDITION if a database is not Atelier's, or has taken more steps than there are: a
// newer version made it. Changes nothing. May throw SQLite::Exception.
absl::Status CheckSchema(SQLite::Database* database, absl::Span<const char* const> steps);

// Takes the steps a database has not taken yet, each in a transaction of its own. Errors as
// CheckSchema; may throw SQLite::Exception.
absl::Status Migrate(SQLite::Database* database, absl::Span<const char* const> steps);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_MIGRATIONS_H_
