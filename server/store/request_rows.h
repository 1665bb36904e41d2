// The ids of requests, each creator's own, and those whose job or experiment was deleted,
// remembered for a day, so that a repeat does not do its work a second time. All throw
// SQLite::Exception.
#ifndef ATELIER_SERVER_STORE_REQUEST_ROWS_H_
#define ATELIER_SERVER_STORE_REQUEST_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::store {

// What a request made; the numbers are stored.
enum class RequestKind { kJob = 0, kExperiment = 1 };

// A creator's request id as it is stored: others may use the same. That of no creator is the id.
std::string StoredRequestId(absl::string_view creator, absl::string_view request_id);
// The request id of such a text.
std::string GivenRequestId(absl::string_view stored);

// Remembers the request that made the job or experiment `id`, which is about to be deleted; nothing
// if its request had no id. Forgets those of more than a day ago.
void RememberRequest(SQLite::Database& database, RequestKind kind, absl::string_view id,
                     absl::Time now);

// The id of what the request made, if that was deleted within the last day; nothing otherwise.
absl::StatusOr<std::optional<std::string>> FindDeletedRequest(SQLite::Database& database,
                                                              RequestKind kind,
                                                              absl::string_view stored_id,
                                                              absl::Time now);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_REQUEST_ROWS_H_
