#include "server/store/migrations.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace atelier::store {
namespace {

// `application_id` of our databases: "ATLR".
constexpr int kApplicationId = 0x41544C52;

// `kind` is the number of the event's field in JobEvent; 5 and 7 are the samples that `epochs_only`
// leaves out.
constexpr const char kJobs[] = R"sql(
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY AUTOINCREMENT,   -- JobRecord.sequence
  id TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  job BLOB NOT NULL,                       -- atelier.v1.TrainingJob
  request_id TEXT UNIQUE,                  -- NULL if none was given
  request BLOB NOT NULL,
  last_event INTEGER NOT NULL,
  recorded_epoch INTEGER NOT NULL,
  token TEXT NOT NULL,
  handle TEXT NOT NULL,
  acknowledged INTEGER NOT NULL,
  positioned INTEGER NOT NULL,
  lost_attempts INTEGER NOT NULL,
  stop_requested INTEGER NOT NULL,
  reserved_version INTEGER NOT NULL,
  files_freed INTEGER NOT NULL
) STRICT;
CREATE INDEX unfinished_jobs ON jobs (key) WHERE files_freed = 0;

CREATE TABLE deleted_jobs (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL DEFAULT 0,
  event BLOB NOT NULL,                     -- atelier.v1.JobEvent
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX lasting_events ON events (job, number) WHERE withdrawn = 0 AND kind NOT IN (5, 7);

CREATE TABLE evaluations (
  job INTEGER PRIMARY KEY REFERENCES jobs (key) ON DELETE CASCADE,
  confusion_matrix BLOB NOT NULL,          -- atelier.v1.ConfusionMatrix
  predictions BLOB NOT NULL                -- atelier.v1.GetPredictionsResponse with all of them
) STRICT;
)sql";

// A model's row stays when its versions are deleted, so that no number is given twice.
constexpr const char kModels[] = R"sql(
CREATE TABLE models (
  name TEXT PRIMARY KEY,
  last_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  model TEXT NOT NULL REFERENCES models (name),
  version INTEGER NOT NULL,
  stopped_early INTEGER NOT NULL,
  data BLOB NOT NULL,                      -- atelier.v1.ModelVersion
  PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  model TEXT NOT NULL,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (model, alias),
  FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
)sql";

// A run that has a job says nothing of it but its id: what the job came to stands in `jobs`, and a
// job that is no longer there was deleted.
constexpr const char kExperiments[] = R"sql(
CREATE TABLE experiments (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  experiment BLOB NOT NULL,                -- atelier.v1.Experiment, without runs
  request_id TEXT UNIQUE,                  -- NULL if none was given
  request BLOB NOT NULL
) STRICT;

CREATE TABLE deleted_experiments (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  experiment INTEGER NOT NULL REFERENCES experiments (key) ON DELETE CASCADE,
  number INTEGER NOT NULL,                 -- ExperimentRun.index
  configuration INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  request_id TEXT NOT NULL UNIQUE,         -- of the request that makes the job
  job TEXT,                                -- NULL before it is one, and if it never becomes one
  outcome INTEGER NOT NULL DEFAULT 0,      -- RunState of what never becomes a job; else 0
  message TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (experiment, number)
) STRICT, WITHOUT ROWID;
)sql";

// `deleted_requests` remembers the requests of deleted jobs and experiments for a day.
constexpr const char kRequests[] = R"sql(
ALTER TABLE jobs ADD COLUMN checkpointed INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET checkpointed = 1 WHERE recorded_epoch > 0;

CREATE TABLE deleted_requests (
  request_id TEXT NOT NULL,
  kind INTEGER NOT NULL,                   -- 0: of a job, 1: of an experiment
  id TEXT NOT NULL,                        -- of what it made
  deleted INTEGER NOT NULL,                -- seconds since 1970
  PRIMARY KEY (kind, request_id)
) STRICT, WITHOUT ROWID;
)sql";

// Whether a version became its model's latest when it was registered; those of before did unless
// they were stopped early.
constexpr const char kMovedLatest[] = R"sql(
ALTER TABLE versions RENAME COLUMN stopped_early TO moved_latest;
UPDATE versions SET moved_latest = 1 - moved_latest;
)sql";

// A data set's row stays when its versions are deleted, so that no number is given twice.
constexpr const char kDatasets[] = R"sql(
CREATE TABLE datasets (
  name TEXT PRIMARY KEY,
  last_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dataset_versions (
  dataset TEXT NOT NULL REFERENCES datasets (name),
  version INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  source_sha256 TEXT NOT NULL,
  data BLOB NOT NULL,                      -- atelier.v1.Dataset, without `versions`
  PRIMARY KEY (dataset, version)
) STRICT, WITHOUT ROWID;
)sql";

// Who set an alias, and when in microseconds since 1970; 0 where nobody kept it.
constexpr const char kAliasSettings[] = R"sql(
ALTER TABLE aliases ADD COLUMN creator TEXT NOT NULL DEFAULT '';
ALTER TABLE aliases ADD COLUMN set_time INTEGER NOT NULL DEFAULT 0;
)sql";

// A key is never given twice, so that a receiver can tell a repeated notice from another one.
constexpr const char kNotices[] = R"sql(
CREATE TABLE notices (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  job TEXT NOT NULL,                       -- its id; the job may have been deleted
  url TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due INTEGER,                             -- milliseconds since 1970; NULL until the job has ended
  data BLOB                                -- atelier.v1.TrainingJob as it ended
) STRICT;
CREATE INDEX due_notices ON notices (due) WHERE due IS NOT NULL;
CREATE INDEX waiting_notices ON notices (job) WHERE due IS NULL;
)sql";

// Which files have, or are to have, a copy in an object store.
constexpr const char kObjects[] = R"sql(
CREATE TABLE objects (
  path TEXT PRIMARY KEY,                   -- of the file, relative to the data directory
  object TEXT NOT NULL,                    -- its key behind the store's prefix
  state INTEGER NOT NULL DEFAULT 0,        -- 0: to be uploaded, 1: stored, 2: to be removed
  generation INTEGER NOT NULL DEFAULT 1,
  size_bytes INTEGER NOT NULL,
  part_bytes INTEGER NOT NULL DEFAULT 0,
  digests BLOB NOT NULL DEFAULT x'',       -- SHA-256 of each part, 32 bytes each
  upload TEXT NOT NULL DEFAULT '',         -- id of an upload in parts
  tries INTEGER NOT NULL DEFAULT 0,
  added INTEGER NOT NULL,                  -- this and the next two: milliseconds since 1970
  due INTEGER NOT NULL,
  used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX due_objects ON objects (due) WHERE state <> 1;
CREATE INDEX used_objects ON objects (used) WHERE state = 1;
)sql";

constexpr const char* kSteps[] = {kJobs,     kModels,        kExperiments, kRequests, kMovedLatest,
                                  kDatasets, kAliasSettings, kNotices,     kObjects};

int Pragma(SQLite::Database* database, const char* name) {
  return database->execAndGet(absl::StrCat("PRAGMA ", name)).getInt();
}

}  // namespace

absl::Span<const char* const> SchemaSteps() { return kSteps; }

absl::Status CheckSchema(SQLite::Database* database, absl::Span<const char* const> steps) {
  const int taken = Pragma(database, "user_version");
  const int application = Pragma(database, "application_id");
  const bool empty = database->execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0;
  if (application != kApplicationId && !empty) {
    return absl::FailedPreconditionError(absl::StrCat(
        "The database ", database->getFilename(), " is not a database of Atelier; move it away."));
  }
  if (taken > static_cast<int>(steps.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat("The database ", database->getFilename(),
                     " was made by a newer version of Atelier (schema ", taken, ", this one knows ",
                     steps.size(), "); use that version, or another data directory."));
  }
  return absl::OkStatus();
}

absl::Status Migrate(SQLite::Database* database, absl::Span<const char* const> steps) {
  if (auto status = CheckSchema(database, steps); !status.ok()) return status;
  for (std::size_t step = Pragma(database, "user_version"); step < steps.size(); ++step) {
    SQLite::Transaction transaction(*database);
    database->exec(steps[step]);
    database->exec(absl::StrCat("PRAGMA application_id = ", kApplicationId));
    database->exec(absl::StrCat("PRAGMA user_version = ", step + 1));
    transaction.commit();
  }
  return absl::OkStatus();
}

}  // namespace atelier::store
