#include "server/store/request_rows.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "server/store/rows.h"

namespace atelier::store {
namespace {

using SQLite::Statement;

std::int64_t ADayBefore(absl::Time now) { return absl::ToUnixSeconds(now - absl::Hours(24)); }

}  // namespace

std::string StoredRequestId(absl::string_view creator, absl::string_view request_id) {
  return creator.empty() ? std::string(request_id) : absl::StrCat(creator, "\n", request_id);
}

std::string GivenRequestId(absl::string_view stored) {
  // A request id has no line breaks.
  return std::string(stored.substr(stored.rfind('\n') + 1));
}

void RememberRequest(SQLite::Database& database, RequestKind kind, absl::string_view id,
                     absl::Time now) {
  Statement forget(database, "DELETE FROM deleted_requests WHERE deleted < ?");
  forget.bind(1, ADayBefore(now));
  forget.exec();
  const char* const table = kind == RequestKind::kJob ? "jobs" : "experiments";
  Statement remember(database,
                     absl::StrCat("INSERT OR REPLACE INTO deleted_requests (request_id, kind, id, "
                                  "deleted) SELECT request_id, ?, id, ? FROM ",
                                  table, " WHERE id = ? AND request_id IS NOT NULL"));
  remember.bind(1, static_cast<int>(kind));
  remember.bind(2, absl::ToUnixSeconds(now));
  BindText(&remember, 3, id);
  remember.exec();
}

absl::StatusOr<std::optional<std::string>> FindDeletedRequest(SQLite::Database& database,
                                                              RequestKind kind,
                                                              absl::string_view stored_id,
                                                              absl::Time now) {
  Statement select(database,
                   "SELECT id FROM deleted_requests WHERE kind = ? AND request_id = ? AND "
                   "deleted >= ?");
  select.bind(1, static_cast<int>(kind));
  BindText(&select, 2, stored_id);
  select.bind(3, ADayBefore(now));
  if (!select.executeStep()) return std::optional<std::string>();
  return std::optional<std::string>(select.getColumn(0).getString());
}

}  // namespace atelier::store
