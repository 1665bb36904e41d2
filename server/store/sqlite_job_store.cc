// SqliteStore: jobs, their events and evaluations.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/store/connections.h"
#include "server/store/dataset_rows.h"
#include "server/store/model_rows.h"
#include "server/store/needs.h"
#include "server/store/notice_rows.h"
#include "server/store/request_rows.h"
#include "server/store/rows.h"
#include "server/store/run_rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using jobs::JobRecord;
using SQLite::Database;
using SQLite::Statement;

// The columns of a JobRecord, in the order of BindRecord and ReadJob; `key` follows.
constexpr const char kColumns[] =
    "id, state, job, request_id, request, last_event, recorded_epoch, token, handle, acknowledged, "
    "positioned, lost_attempts, stop_requested, reserved_version, checkpointed, files_freed";
constexpr int kKeyColumn = 16;

void BindRecord(Statement* statement, const JobRecord& record) {
  int i = 0;
  BindText(statement, ++i, record.id);
  statement->bind(++i, static_cast<int>(record.job.state()));
  BindMessage(statement, ++i, record.job);
  if (++i; !record.request_id.empty()) {
    BindText(statement, i, StoredRequestId(record.job.creator(), record.request_id));
  }
  ++i;
  statement->bind(i, static_cast<const void*>(record.request.data()),
                  static_cast<int>(record.request.size()));
  statement->bind(++i, record.last_event);
  statement->bind(++i, record.recorded_epoch);
  BindText(statement, ++i, record.token);
  BindText(statement, ++i, record.handle);
  statement->bind(++i, record.acknowledged);
  statement->bind(++i, record.positioned ? 1 : 0);
  statement->bind(++i, record.lost_attempts);
  statement->bind(++i, record.stop_requested ? 1 : 0);
  statement->bind(++i, record.reserved_version);
  statement->bind(++i, record.checkpointed ? 1 : 0);
  statement->bind(++i, record.files_freed ? 1 : 0);
}

// A row of `SELECT kColumns, key`.
JobRecord ReadJob(Statement* row) {
  JobRecord record;
  int i = 0;
  record.id = row->getColumn(i++).getString();
  ++i;  // The state is in the job, too.
  Demand(ParseNamed(row->getColumn(i++), jobs::JobName(record.id), &record.job));
  record.request_id = GivenRequestId(row->getColumn(i++).getString());
  record.request = row->getColumn(i++).getString();
  record.last_event = row->getColumn(i++).getInt64();
  record.recorded_epoch = row->getColumn(i++).getInt();
  record.token = row->getColumn(i++).getString();
  record.handle = row->getColumn(i++).getString();
  record.acknowledged = row->getColumn(i++).getInt64();
  record.positioned = row->getColumn(i++).getInt() != 0;
  record.lost_attempts = row->getColumn(i++).getInt();
  record.stop_requested = row->getColumn(i++).getInt() != 0;
  record.reserved_version = row->getColumn(i++).getInt64();
  record.checkpointed = row->getColumn(i++).getInt() != 0;
  record.files_freed = row->getColumn(i++).getInt() != 0;
  record.sequence = row->getColumn(kKeyColumn).getInt64();
  return record;
}

std::string SelectRecords(absl::string_view condition) {
  return absl::StrCat("SELECT ", kColumns, ", key FROM jobs ", condition);
}

absl::Status NoJob(absl::string_view id) {
  return jobs::Error(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                     absl::StrCat("There is no job ", id, "."));
}

absl::StatusOr<std::int64_t> FindKey(Database& database, absl::string_view id) {
  Statement select(database, "SELECT key FROM jobs WHERE id = ?");
  BindText(&select, 1, id);
  if (!select.executeStep()) return NoJob(id);
  return select.getColumn(0).getInt64();
}

void InsertEvents(Database& database, std::int64_t job, const std::vector<v1::JobEvent>& events) {
  Statement insert(database, "INSERT INTO events (job, number, kind, event) VALUES (?, ?, ?, ?)");
  for (const v1::JobEvent& event : events) {
    insert.bind(1, job);
    insert.bind(2, event.number());
    insert.bind(3, static_cast<int>(event.event_case()));
    BindMessage(&insert, 4, event);
    insert.exec();
    insert.reset();
  }
}

void WithdrawEvents(Database& database, std::int64_t job, std::int64_t first) {
  Statement update(database,
                   absl::StrCat("UPDATE events SET withdrawn = 1 WHERE job = ? AND "
                                "number >= ? AND kind IN (",
                                v1::JobEvent::kStep, ", ", v1::JobEvent::kEpoch, ", ",
                                v1::JobEvent::kCheckpoint, ", ", v1::JobEvent::kEarlyStop, ")"));
  update.bind(1, job);
  update.bind(2, first);
  update.exec();
}

void InsertEvaluation(Database& database, std::int64_t job, const jobs::Evaluation& evaluation) {
  v1::GetPredictionsResponse predictions;
  *predictions.mutable_class_names() = evaluation.confusion_matrix.class_names();
  predictions.mutable_predictions()->Assign(evaluation.predictions.begin(),
                                            evaluation.predictions.end());
  Statement insert(database,
                   "INSERT OR REPLACE INTO evaluations (job, confusion_matrix, predictions) "
                   "VALUES (?, ?, ?)");
  insert.bind(1, job);
  BindMessage(&insert, 2, evaluation.confusion_matrix);
  BindMessage(&insert, 3, predictions);
  insert.exec();
}

// Reads one message of a job's evaluation.
absl::Status ReadEvaluation(Database& database, absl::string_view id, const char* column,
                            google::protobuf::MessageLite* message) {
  auto key = FindKey(database, id);
  if (!key.ok()) return key.status();
  Statement select(database, absl::StrCat("SELECT ", column, " FROM evaluations WHERE job = ?"));
  select.bind(1, *key);
  if (!select.executeStep()) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "NOT_EVALUATED",
                       absl::StrCat("Job ", id, " has not scored the test set."));
  }
  ReadMessage(select.getColumn(0), message);
  return absl::OkStatus();
}

bool Matches(const v1::Prediction& prediction, const jobs::PredictionQuery& query) {
  return (!query.true_class.has_value() || prediction.true_class() == *query.true_class) &&
         (!query.predicted_class.has_value() ||
          prediction.predicted_class() == *query.predicted_class) &&
         (!query.wrong_only || prediction.true_class() != prediction.predicted_class());
}

absl::StatusOr<std::int64_t> ReadPosition(absl::string_view scope, absl::string_view token,
                                          std::int64_t first) {
  auto position = jobs::ReadPageToken(scope, token);
  if (!position.ok()) return position.status();
  std::int64_t number = first;
  if (!position->empty() && !absl::SimpleAtoi(*position, &number)) {
    return absl::InternalError("A page token holds no number.");
  }
  return number;
}

}  // namespace

absl::StatusOr<std::int64_t> SqliteStore::Insert(const JobRecord& record,
                                                 const std::vector<v1::JobEvent>& events) {
  return connections_->Write([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement taken(database,
                    "SELECT 1 FROM jobs WHERE id = ?1 OR request_id = ?2 UNION ALL "
                    "SELECT 1 FROM deleted_jobs WHERE id = ?1");
    BindText(&taken, 1, record.id);
    if (!record.request_id.empty()) {
      BindText(&taken, 2, StoredRequestId(record.job.creator(), record.request_id));
    }
    if (taken.executeStep()) {
      return absl::AlreadyExistsError(
          absl::StrCat("The job id ", record.id, " or its request id is taken."));
    }
    if (auto status = CheckPresent(database, NeededBy(record.job)); !status.ok()) return status;
    Statement insert(database,
                     absl::StrCat("INSERT INTO jobs (", kColumns,
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
    BindRecord(&insert, record);
    insert.exec();
    const std::int64_t key = database.getLastInsertRowid();
    InsertEvents(database, key, events);
    if (!record.request_id.empty()) AssignJob(database, record.request_id, record.id);
    AddNotice(database, record);
    return key;
  });
}

absl::StatusOr<JobRecord> SqliteStore::Load(absl::string_view id) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<JobRecord> {
    Statement select(database, SelectRecords("WHERE id = ?"));
    BindText(&select, 1, id);
    if (!select.executeStep()) return NoJob(id);
    return ReadJob(&select);
  });
}

absl::StatusOr<std::optional<JobRecord>> SqliteStore::FindByRequestId(
    absl::string_view creator, absl::string_view request_id) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::optional<JobRecord>> {
    Statement select(database, SelectRecords("WHERE request_id = ?"));
    BindText(&select, 1, StoredRequestId(creator, request_id));
    if (!select.executeStep()) return std::optional<JobRecord>();
    return std::optional<JobRecord>(ReadJob(&select));
  });
}

absl::StatusOr<std::optional<std::string>> SqliteStore::FindDeletedByRequestId(
    absl::string_view creator, absl::string_view request_id, absl::Time now) {
  return connections_->Read([&](Database& database) {
    return FindDeletedRequest(database, RequestKind::kJob, StoredRequestId(creator, request_id),
                              now);
  });
}

absl::StatusOr<std::vector<JobRecord>> SqliteStore::LoadUnfinished() {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<JobRecord>> {
    Statement select(database, SelectRecords("WHERE files_freed = 0 ORDER BY key"));
    std::vector<JobRecord> records;
    while (select.executeStep()) records.push_back(ReadJob(&select));
    return records;
  });
}

absl::StatusOr<jobs::JobCounts> SqliteStore::CountJobs() {
  return connections_->Read([&](Database& database) -> absl::StatusOr<jobs::JobCounts> {
    Statement select(database, "SELECT state, count(*) FROM jobs GROUP BY state");
    jobs::JobCounts counts;
    while (select.executeStep()) {
      counts[static_cast<v1::JobState>(select.getColumn(0).getInt())] =
          select.getColumn(1).getInt64();
    }
    return counts;
  });
}

absl::StatusOr<jobs::JobPage> SqliteStore::List(const jobs::JobQuery& query) {
  std::vector<int> states(query.states.begin(), query.states.end());
  std::sort(states.begin(), states.end());
  const std::string list = absl::StrJoin(states, ",");
  const std::string scope = absl::StrCat("jobs:", list);
  auto before = ReadPosition(scope, query.page_token, INT64_MAX);
  if (!before.ok()) return before.status();
  return connections_->Read([&](Database& database) -> absl::StatusOr<jobs::JobPage> {
    const std::string filter = list.empty() ? "" : absl::StrCat("AND state IN (", list, ") ");
    Statement select(database, SelectRecords(absl::StrCat("WHERE key < ? ", filter,
                                                          "ORDER BY key DESC LIMIT ?")));
    select.bind(1, *before);
    select.bind(2, query.page_size + 1);
    jobs::JobPage page;
    jobs::PageRoom room(query.page_size);
    while (select.executeStep()) {
      JobRecord record = ReadJob(&select);
      if (!room.Take(record.job.ByteSizeLong())) {
        page.next_page_token =
            jobs::MakePageToken(scope, absl::StrCat(page.records.back().sequence));
        break;
      }
      page.records.push_back(std::move(record));
    }
    return page;
  });
}

absl::Status SqliteStore::Commit(const jobs::JobUpdate& update) {
  return connections_->Write([&](Database& database) -> absl::Status {
    auto key = FindKey(database, update.record.id);
    if (!key.ok()) return key.status();
    Statement set(
        database,
        absl::StrCat("UPDATE jobs SET (", kColumns,
                     ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE key = ?"));
    BindRecord(&set, update.record);
    set.bind(kKeyColumn + 1, *key);
    set.exec();
    if (update.withdraw_from.has_value()) WithdrawEvents(database, *key, *update.withdraw_from);
    InsertEvents(database, *key, update.events);
    if (update.evaluation.has_value()) InsertEvaluation(database, *key, *update.evaluation);
    if (update.model_version.has_value()) RegisterVersion(database, *update.model_version);
    if (update.dataset_version.has_value()) RegisterDataset(database, *update.dataset_version);
    ReleaseNotices(database, update, notify_url_);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<v1::JobEvent>> SqliteStore::ReadEvents(absl::string_view id,
                                                                  std::int64_t after, int limit,
                                                                  bool epochs_only) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<v1::JobEvent>> {
    std::vector<v1::JobEvent> events;
    // The planner would walk through all samples; the index has none. Its condition has to stand in
    // the query word for word.
    Statement select(
        database,
        absl::StrCat("SELECT event, number FROM events ",
                     epochs_only ? "INDEXED BY lasting_events " : "",
                     "WHERE job = (SELECT key FROM jobs WHERE id = ?) AND number > ? AND "
                     "withdrawn = 0 ",
                     epochs_only ? "AND kind NOT IN (5, 7) " : "", "ORDER BY number LIMIT ?"));
    BindText(&select, 1, id);
    select.bind(2, after);
    select.bind(3, limit);
    while (select.executeStep()) {
      v1::JobEvent& event = events.emplace_back();
      // Readers go on from the last event's number.
      Demand(ParseMessage(select.getColumn(0), &event) &&
             event.number() == select.getColumn(1).getInt64());
    }
    return events;
  });
}

absl::StatusOr<v1::ConfusionMatrix> SqliteStore::ReadConfusionMatrix(absl::string_view id) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<v1::ConfusionMatrix> {
    v1::ConfusionMatrix matrix;
    auto status = ReadEvaluation(database, id, "confusion_matrix", &matrix);
    if (!status.ok()) return status;
    return matrix;
  });
}

absl::StatusOr<v1::GetPredictionsResponse> SqliteStore::ReadPredictions(
    absl::string_view id, const jobs::PredictionQuery& query) {
  const std::string scope =
      absl::StrCat("predictions:", id, ":", query.true_class.value_or(-1), ":",
                   query.predicted_class.value_or(-1), ":", query.wrong_only ? 1 : 0);
  auto position = ReadPosition(scope, query.page_token, 0);
  if (!position.ok()) return position.status();
  v1::GetPredictionsResponse all;
  auto status = connections_->Read(
      [&](Database& database) { return ReadEvaluation(database, id, "predictions", &all); });
  if (!status.ok()) return status;

  v1::GetPredictionsResponse page;
  *page.mutable_class_names() = all.class_names();
  jobs::PageRoom room(query.page_size);
  for (std::int64_t i = *position; i < all.predictions_size(); ++i) {
    v1::Prediction* prediction = all.mutable_predictions(static_cast<int>(i));
    if (!Matches(*prediction, query)) continue;
    if (!room.Take(prediction->ByteSizeLong())) {
      page.set_next_page_token(jobs::MakePageToken(scope, absl::StrCat(i)));
      break;
    }
    page.add_predictions()->Swap(prediction);
  }
  return page;
}

absl::Status SqliteStore::Delete(absl::string_view id, absl::Time now) {
  return connections_->Write([&](Database& database) -> absl::Status {
    auto key = FindKey(database, id);
    if (!key.ok()) return key.status();
    Statement remember(database, "INSERT INTO deleted_jobs (id) VALUES (?)");
    BindText(&remember, 1, id);
    remember.exec();
    RememberRequest(database, RequestKind::kJob, id, now);
    Statement remove(database, "DELETE FROM jobs WHERE key = ?");
    remove.bind(1, *key);
    remove.exec();
    return absl::OkStatus();
  });
}

}  // namespace atelier::store
