// Rows of `notices`: who is told that a job has ended. For use within transactions; exceptions as
// SQLiteCpp's.
#ifndef ATELIER_SERVER_STORE_NOTICE_ROWS_H_
#define ATELIER_SERVER_STORE_NOTICE_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "server/jobs/job_store.h"

namespace atelier::store {

// Remembers whom the new job's end is told, if anybody.
void AddNotice(SQLite::Database& database, const jobs::JobRecord& record);

// If the update ends its job: what was remembered is due, and so is a notice to `always`, the
// server's own URL, if that is not empty.
void ReleaseNotices(SQLite::Database& database, const jobs::JobUpdate& update,
                    const std::string& always);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_NOTICE_ROWS_H_
