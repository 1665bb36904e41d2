// SqliteStore: experiments and their runs.
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/jobs/error.h"
#include "server/jobs/experiment_state.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/store/connections.h"
#include "server/store/needs.h"
#include "server/store/request_rows.h"
#include "server/store/rows.h"
#include "server/store/run_rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using jobs::ExperimentRecord;
using jobs::RunRecord;
using SQLite::Database;
using SQLite::Statement;

constexpr std::size_t kMaxRunMessage = 500;

absl::Status NoExperiment(absl::string_view id) {
  return jobs::Error(absl::StatusCode::kNotFound, "EXPERIMENT_NOT_FOUND",
                     absl::StrCat("There is no experiment ", id, "."));
}

absl::StatusOr<std::int64_t> FindExperiment(Database& database, absl::string_view id) {
  Statement select(database, "SELECT key FROM experiments WHERE id = ?");
  BindText(&select, 1, id);
  if (!select.executeStep()) return NoExperiment(id);
  return select.getColumn(0).getInt64();
}

// A row of `SELECT id, experiment, request_id, request`.
ExperimentRecord ReadExperiment(Statement* row) {
  ExperimentRecord record;
  record.id = row->getColumn(0).getString();
  Demand(ParseNamed(row->getColumn(1), jobs::ExperimentName(record.id), &record.experiment));
  record.request_id = GivenRequestId(row->getColumn(2).getString());
  record.request = row->getColumn(3).getString();
  return record;
}

// What a run is, by its own columns and its job's state; 0 where it has no job.
v1::RunState StateOf(int outcome, bool has_job, int job_state) {
  if (!has_job) return outcome == 0 ? v1::RUN_STATE_WAITING : static_cast<v1::RunState>(outcome);
  if (job_state == 0) return v1::RUN_STATE_DELETED;
  return RunStateOf(static_cast<v1::JobState>(job_state));
}

void TakeJob(Database& database, std::int64_t key, const v1::TrainingJob& job,
             v1::ExperimentRun* run) {
  if (job.has_result()) *run->mutable_result() = job.result();
  if (jobs::IsTerminal(run->state())) {
    if (job.transitions_size() > 0) {
      run->set_message(job.transitions(job.transitions_size() - 1).message());
    }
    return;
  }
  if (job.has_progress()) *run->mutable_progress() = job.progress();
  Statement epoch(database,
                  absl::StrCat("SELECT event FROM events INDEXED BY lasting_events WHERE job = ? "
                               "AND withdrawn = 0 AND kind NOT IN (5, 7) AND kind = ",
                               v1::JobEvent::kEpoch, " ORDER BY number DESC LIMIT 1"));
  epoch.bind(1, key);
  if (!epoch.executeStep()) return;
  v1::JobEvent event;
  ReadMessage(epoch.getColumn(0), &event);
  *run->mutable_latest_epoch() = event.epoch();
}

// A row of `SELECT number, configuration, seed, request_id, job, outcome, message, state, job,
// key`.
RunRecord ReadRun(Database& database, Statement* row) {
  RunRecord record;
  v1::ExperimentRun* const run = &record.run;
  run->set_index(row->getColumn(0).getInt());
  run->set_configuration(row->getColumn(1).getInt());
  run->set_seed(row->getColumn(2).getInt64());
  record.request_id = row->getColumn(3).getString();
  const bool has_job = !row->getColumn(4).isNull();
  if (has_job) run->set_job(jobs::JobName(row->getColumn(4).getString()));
  run->set_state(StateOf(row->getColumn(5).getInt(), has_job, row->getColumn(7).getInt()));
  run->set_message(row->getColumn(6).getString());
  if (!row->getColumn(8).isNull()) {
    v1::TrainingJob job;
    Demand(ParseNamed(row->getColumn(8), run->job(), &job));
    TakeJob(database, row->getColumn(9).getInt64(), job, run);
  }
  // A thousand of them go into one message; the job has the whole.
  run->set_message(jobs::ClipText(run->message(), kMaxRunMessage));
  return record;
}

void CountRuns(Database& database, std::int64_t key, v1::Experiment* experiment) {
  Statement select(database,
                   "SELECT r.outcome, r.job IS NOT NULL, j.state, count(*) FROM runs r "
                   "LEFT JOIN jobs j ON j.id = r.job WHERE r.experiment = ? GROUP BY 1, 2, 3");
  select.bind(1, key);
  while (select.executeStep()) {
    const auto state = StateOf(select.getColumn(0).getInt(), select.getColumn(1).getInt() != 0,
                               select.getColumn(2).getInt());
    jobs::CountRuns(state, select.getColumn(3).getInt(), experiment);
  }
}

void InsertRuns(Database& database, std::int64_t key, const std::vector<RunRecord>& runs) {
  Statement insert(database,
                   "INSERT INTO runs (experiment, number, configuration, seed, request_id) "
                   "VALUES (?, ?, ?, ?, ?)");
  for (const RunRecord& record : runs) {
    insert.bind(1, key);
    insert.bind(2, record.run.index());
    insert.bind(3, record.run.configuration());
    insert.bind(4, record.run.seed());
    BindText(&insert, 5, record.request_id);
    insert.exec();
    insert.reset();
  }
}

}  // namespace

void AssignJob(SQLite::Database& database, absl::string_view request_id, absl::string_view job) {
  Statement update(database, "UPDATE runs SET job = ? WHERE request_id = ?");
  BindText(&update, 1, job);
  BindText(&update, 2, request_id);
  update.exec();
}

absl::Status SqliteStore::InsertExperiment(const ExperimentRecord& record,
                                           const std::vector<RunRecord>& runs) {
  return connections_->Write([&](Database& database) -> absl::Status {
    Statement taken(database,
                    "SELECT 1 FROM experiments WHERE id = ?1 OR request_id = ?2 UNION ALL "
                    "SELECT 1 FROM deleted_experiments WHERE id = ?1");
    BindText(&taken, 1, record.id);
    const std::string request_id = StoredRequestId(record.experiment.creator(), record.request_id);
    if (!record.request_id.empty()) BindText(&taken, 2, request_id);
    if (taken.executeStep()) {
      return absl::AlreadyExistsError(absl::StrCat("The id ", record.id, " is taken."));
    }
    for (const v1::TrainingSpec& spec : record.experiment.configurations()) {
      if (auto status = CheckPresent(database, NeededBy(spec)); !status.ok()) return status;
    }
    Statement insert(database,
                     "INSERT INTO experiments (id, state, experiment, request_id, request) "
                     "VALUES (?, ?, ?, ?, ?)");
    BindText(&insert, 1, record.id);
    insert.bind(2, static_cast<int>(record.experiment.state()));
    BindMessage(&insert, 3, record.experiment);
    if (!record.request_id.empty()) BindText(&insert, 4, request_id);
    insert.bind(5, static_cast<const void*>(record.request.data()),
                static_cast<int>(record.request.size()));
    insert.exec();
    InsertRuns(database, database.getLastInsertRowid(), runs);
    return absl::OkStatus();
  });
}

absl::StatusOr<ExperimentRecord> SqliteStore::LoadExperiment(absl::string_view id) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<ExperimentRecord> {
    Statement select(database,
                     "SELECT id, experiment, request_id, request FROM experiments WHERE id = ?");
    BindText(&select, 1, id);
    if (!select.executeStep()) return NoExperiment(id);
    return ReadExperiment(&select);
  });
}

absl::StatusOr<std::optional<ExperimentRecord>> SqliteStore::FindExperimentByRequestId(
    absl::string_view creator, absl::string_view request_id) {
  using Found = std::optional<ExperimentRecord>;
  return connections_->Read([&](Database& database) -> absl::StatusOr<Found> {
    Statement select(
        database,
        "SELECT id, experiment, request_id, request FROM experiments WHERE request_id = ?");
    BindText(&select, 1, StoredRequestId(creator, request_id));
    if (!select.executeStep()) return Found();
    return Found(ReadExperiment(&select));
  });
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ListUnendedExperiments() {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<std::string>> {
    Statement select(
        database, absl::StrCat("SELECT id FROM experiments WHERE state IN (",
                               static_cast<int>(v1::EXPERIMENT_STATE_RUNNING), ", ",
                               static_cast<int>(v1::EXPERIMENT_STATE_STOPPING), ") ORDER BY key"));
    std::vector<std::string> ids;
    while (select.executeStep()) ids.push_back(select.getColumn(0).getString());
    return ids;
  });
}

absl::StatusOr<jobs::ExperimentPage> SqliteStore::ListExperiments(int page_size,
                                                                  absl::string_view page_token) {
  constexpr absl::string_view kScope = "experiments";
  auto position = jobs::ReadPageToken(kScope, page_token);
  if (!position.ok()) return position.status();
  std::int64_t before = INT64_MAX;
  if (!position->empty() && !absl::SimpleAtoi(*position, &before)) {
    return absl::InternalError("A page token holds no number.");
  }
  return connections_->Read([&](Database& database) -> absl::StatusOr<jobs::ExperimentPage> {
    Statement select(database,
                     "SELECT key, experiment, id FROM experiments WHERE key < ? ORDER BY key "
                     "DESC LIMIT ?");
    select.bind(1, before);
    select.bind(2, page_size + 1);
    jobs::ExperimentPage page;
    std::int64_t last = 0;
    jobs::PageRoom room(page_size);
    while (select.executeStep()) {
      v1::Experiment experiment;
      const std::string name = jobs::ExperimentName(select.getColumn(2).getString());
      Demand(ParseNamed(select.getColumn(1), name, &experiment));
      if (!room.Take(experiment.ByteSizeLong())) {
        page.next_page_token = jobs::MakePageToken(kScope, absl::StrCat(last));
        break;
      }
      last = select.getColumn(0).getInt64();
      CountRuns(database, last, &experiment);
      page.experiments.push_back(std::move(experiment));
    }
    return page;
  });
}

absl::StatusOr<std::vector<RunRecord>> SqliteStore::ReadRuns(absl::string_view id) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::vector<RunRecord>> {
    Statement select(database,
                     "SELECT r.number, r.configuration, r.seed, r.request_id, r.job, r.outcome, "
                     "r.message, j.state, j.job, j.key FROM runs r LEFT JOIN jobs j ON j.id = "
                     "r.job WHERE r.experiment = (SELECT key FROM experiments WHERE id = ?) "
                     "ORDER BY r.number");
    BindText(&select, 1, id);
    std::vector<RunRecord> runs;
    while (select.executeStep()) runs.push_back(ReadRun(database, &select));
    return runs;
  });
}

absl::Status SqliteStore::CommitExperiment(const ExperimentRecord& record,
                                           const std::optional<std::string>& drop_waiting) {
  return connections_->Write([&](Database& database) -> absl::Status {
    auto key = FindExperiment(database, record.id);
    if (!key.ok()) return key.status();
    Statement set(database, "UPDATE experiments SET state = ?, experiment = ? WHERE key = ?");
    set.bind(1, static_cast<int>(record.experiment.state()));
    BindMessage(&set, 2, record.experiment);
    set.bind(3, *key);
    set.exec();
    if (!drop_waiting.has_value()) return absl::OkStatus();
    Statement drop(database,
                   "UPDATE runs SET outcome = ?, message = ? WHERE experiment = ? AND job IS NULL "
                   "AND outcome = 0");
    drop.bind(1, static_cast<int>(v1::RUN_STATE_DROPPED));
    BindText(&drop, 2, *drop_waiting);
    drop.bind(3, *key);
    drop.exec();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::RefuseRun(absl::string_view id, int index, absl::string_view reason) {
  return connections_->Write([&](Database& database) -> absl::Status {
    auto key = FindExperiment(database, id);
    if (!key.ok()) return key.status();
    Statement refuse(database,
                     "UPDATE runs SET outcome = ?, message = ? WHERE experiment = ? AND number = ? "
                     "AND job IS NULL AND outcome = 0");
    refuse.bind(1, static_cast<int>(v1::RUN_STATE_FAILED));
    BindText(&refuse, 2, reason);
    refuse.bind(3, *key);
    refuse.bind(4, index);
    refuse.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<std::string>> SqliteStore::FindDeletedExperimentByRequestId(
    absl::string_view creator, absl::string_view request_id, absl::Time now) {
  return connections_->Read([&](Database& database) {
    return FindDeletedRequest(database, RequestKind::kExperiment,
                              StoredRequestId(creator, request_id), now);
  });
}

absl::Status SqliteStore::DeleteExperiment(absl::string_view id, absl::Time now) {
  return connections_->Write([&](Database& database) -> absl::Status {
    auto key = FindExperiment(database, id);
    if (!key.ok()) return key.status();
    Statement remember(database, "INSERT INTO deleted_experiments (id) VALUES (?)");
    BindText(&remember, 1, id);
    remember.exec();
    RememberRequest(database, RequestKind::kExperiment, id, now);
    Statement remove(database, "DELETE FROM experiments WHERE key = ?");
    remove.bind(1, *key);
    remove.exec();
    return absl::OkStatus();
  });
}

}  // namespace atelier::store
