// SqliteStore: notices that jobs have ended.
#include <utility>

#include "absl/strings/string_view.h"
#include "server/jobs/job_state.h"
#include "server/jobs/timestamps.h"
#include "server/store/connections.h"
#include "server/store/notice_rows.h"
#include "server/store/rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;

bool Ends(const jobs::JobUpdate& update) {
  for (const v1::JobEvent& event : update.events) {
    if (event.has_transition() && jobs::IsTerminal(event.transition().state())) return true;
  }
  return false;
}

}  // namespace

void AddNotice(Database& database, const jobs::JobRecord& record) {
  if (record.notify_url.empty()) return;
  Statement insert(database, "INSERT INTO notices (job, url) VALUES (?, ?)");
  BindText(&insert, 1, record.id);
  BindText(&insert, 2, record.notify_url);
  insert.exec();
}

void ReleaseNotices(Database& database, const jobs::JobUpdate& update, const std::string& always) {
  if (!Ends(update)) return;
  const jobs::JobRecord& record = update.record;
  const std::int64_t due = absl::ToUnixMillis(jobs::FromTimestamp(record.job.end_time()));
  Statement release(database, "UPDATE notices SET due = ?, data = ? WHERE job = ? AND due IS NULL");
  release.bind(1, due);
  BindMessage(&release, 2, record.job);
  BindText(&release, 3, record.id);
  release.exec();
  if (always.empty()) return;
  Statement insert(database, "INSERT INTO notices (job, url, due, data) VALUES (?, ?, ?, ?)");
  BindText(&insert, 1, record.id);
  BindText(&insert, 2, always);
  insert.bind(3, due);
  BindMessage(&insert, 4, record.job);
  insert.exec();
}

absl::StatusOr<std::vector<jobs::Notice>> SqliteStore::DueNotices(absl::Time now, int limit) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<jobs::Notice>> {
    Statement select(database,
                     "SELECT key, url, data, tries FROM notices WHERE due <= ? ORDER BY due, key "
                     "LIMIT ?");
    select.bind(1, absl::ToUnixMillis(now));
    select.bind(2, limit);
    std::vector<jobs::Notice> notices;
    while (select.executeStep()) {
      jobs::Notice& notice = notices.emplace_back();
      notice.key = select.getColumn(0).getInt64();
      notice.url = select.getColumn(1).getString();
      ReadMessage(select.getColumn(2), &notice.job);
      notice.tries = select.getColumn(3).getInt();
    }
    return notices;
  });
}

absl::StatusOr<absl::Time> SqliteStore::NextNoticeDue() {
  return connections_->Read([](Database& database) -> absl::StatusOr<absl::Time> {
    Statement select(database, "SELECT min(due) FROM notices WHERE due IS NOT NULL");
    if (!select.executeStep() || select.getColumn(0).isNull()) return absl::InfiniteFuture();
    return absl::FromUnixMillis(select.getColumn(0).getInt64());
  });
}

absl::Status SqliteStore::PostponeNotice(std::int64_t key, absl::Time due) {
  return connections_->Write([&](Database& database) {
    Statement update(database, "UPDATE notices SET due = ?, tries = tries + 1 WHERE key = ?");
    update.bind(1, absl::ToUnixMillis(due));
    update.bind(2, key);
    update.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::RemoveNotice(std::int64_t key) {
  return connections_->Write([&](Database& database) {
    Statement remove(database, "DELETE FROM notices WHERE key = ?");
    remove.bind(1, key);
    remove.exec();
    return absl::OkStatus();
  });
}

}  // namespace atelier::store
