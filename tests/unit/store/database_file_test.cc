// Opening databases: new, old, too new, damaged, somebody else's; and what a crash leaves.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "server/jobs/error.h"
#include "server/store/connections.h"
#include "server/store/migrations.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

class DatabaseFileTest : public testing::Test {
 protected:
  // A database as the first version of Atelier left it, which had no models: one job with an event.
  void MakeOld() {
    SQLite::Database old(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    ASSERT_TRUE(Migrate(&old, SchemaSteps().first(1)).ok());
    const std::string job = MakeRecord("old-job").job.SerializeAsString();
    SQLite::Statement insert(old,
                             "INSERT INTO jobs (id, state, job, request, last_event, "
                             "recorded_epoch, token, handle, acknowledged, positioned, "
                             "lost_attempts, stop_requested, reserved_version, files_freed) "
                             "VALUES ('old-job', 1, ?, x'', 1, 0, '', '', 0, 0, 0, 0, 0, 0)");
    insert.bind(1, static_cast<const void*>(job.data()), static_cast<int>(job.size()));
    insert.exec();
    const std::string event = EpochEvent(1).SerializeAsString();
    SQLite::Statement event_insert(
        old, "INSERT INTO events (job, number, kind, event) VALUES (1, 1, 6, ?)");
    event_insert.bind(1, static_cast<const void*>(event.data()), static_cast<int>(event.size()));
    event_insert.exec();
  }
  int Version() {
    SQLite::Database database(path_);
    return database.execAndGet("PRAGMA user_version").getInt();
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "atelier.db";
};

TEST_F(DatabaseFileTest, OlderDatabaseIsBroughtUpToDateWithItsJobs) {
  MakeOld();
  ASSERT_EQ(Version(), 1);
  auto store = SqliteStore::Open(path_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Load("old-job")->job.spec().epochs(), 20);
  EXPECT_EQ((*store)->ReadEvents("old-job", 0, 10, false)->size(), 1u);
  EXPECT_EQ(*(*store)->ReserveVersion("a"), 1);
  EXPECT_EQ(Version(), static_cast<int>(SchemaSteps().size()));
}

TEST_F(DatabaseFileTest, WhatWasTheLatestInAnOlderDatabaseStaysIt) {
  {
    SQLite::Database old(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    ASSERT_TRUE(Migrate(&old, SchemaSteps().first(3)).ok());
    old.exec(
        "INSERT INTO models VALUES ('a', 3);"
        "INSERT INTO versions (model, version, stopped_early, data) "
        "VALUES ('a', 1, 0, CAST(x'0a13' || 'models/a/versions/1' || x'1001' AS BLOB)), "
        "('a', 2, 0, CAST(x'0a13' || 'models/a/versions/2' || x'1002' AS BLOB)), "
        "('a', 3, 1, CAST(x'0a13' || 'models/a/versions/3' || x'1003' AS BLOB))");
  }
  const auto store = SqliteStore::Open(path_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->ResolveVersion("a", "latest")->version(), 2);
  ASSERT_TRUE((*store)->DeleteVersion("a", 2, /*force=*/false).ok());
  EXPECT_EQ((*store)->ResolveVersion("a", "latest")->version(), 1);
}

TEST_F(DatabaseFileTest, StepThatFailsIsTakenBackAndSaysSo) {
  MakeOld();
  SQLite::Database database(path_, SQLite::OPEN_READWRITE);
  const char* const steps[] = {SchemaSteps()[0],
                               "CREATE TABLE half (a); CREATE TABLE jobs (already_there)"};
  EXPECT_THROW((void)Migrate(&database, steps), SQLite::Exception);
  EXPECT_FALSE(database.tableExists("half"));
  EXPECT_EQ(Version(), 1);
}

TEST_F(DatabaseFileTest, DatabaseOfANewerVersionIsRefusedUntouched) {
  ASSERT_TRUE(SqliteStore::Open(path_).ok());
  {
    SQLite::Database database(path_, SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 999");
    database.exec("PRAGMA journal_mode = DELETE");
  }
  const std::string before = ReadFile(path_);
  auto store = SqliteStore::Open(path_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("newer version"), absl::string_view::npos);
  EXPECT_EQ(ReadFile(path_), before);
}

TEST_F(DatabaseFileTest, SomebodyElsesDatabaseIsRefusedUntouched) {
  {
    SQLite::Database database(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("CREATE TABLE recipes (name TEXT)");
  }
  const std::string before = ReadFile(path_);
  auto store = SqliteStore::Open(path_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadFile(path_), before);
}

TEST_F(DatabaseFileTest, FileThatIsNoDatabaseIsDamaged) {
  WriteFile(path_, std::string(8192, 'x'));
  auto store = SqliteStore::Open(path_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_NE(store.status().message().find(path_), absl::string_view::npos);
}

TEST_F(DatabaseFileTest, DamagedPagesAreAnErrorNotACrash) {
  {
    auto store = SqliteStore::Open(path_);
    jobs::JobRecord record = MakeRecord("a");
    record.sequence = *(*store)->Insert(record, {});
    jobs::JobUpdate update;
    update.record = record;
    for (int i = 1; i <= 2000; ++i) update.events.push_back(EpochEvent(i));
    ASSERT_TRUE((*store)->Commit(update).ok());
  }
  std::string content = ReadFile(path_);
  ASSERT_GT(content.size(), 16384u);
  // Everything after the first page, which holds the schema.
  std::fill(content.begin() + 4096, content.end(), '\x5a');
  WriteFile(path_, content);
  auto store = SqliteStore::Open(path_);
  const absl::Status status = store.ok() ? (*store)->LoadUnfinished().status() : store.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(DatabaseFileTest, MessageOfAnotherRowIsDamage) {
  const auto store = *SqliteStore::Open(path_);
  jobs::JobUpdate update;
  update.record = MakeRecord("a");
  update.record.sequence = *store->Insert(update.record, {});
  update.model_version = MakeVersion("m", *store->ReserveVersion("m"));
  update.dataset_version.emplace().set_name("datasets/d/versions/1");
  update.dataset_version->set_version(*store->ReserveDatasetVersion("d"));
  update.events = {EpochEvent(1)};
  ASSERT_TRUE(store->Commit(update).ok());
  ASSERT_TRUE(store->Load("a").ok() && store->ResolveVersion("m", "1").ok() &&
              store->GetModel("m", 1, "").ok() && store->FindDataset({"d", 1}).ok() &&
              store->ReadEvents("a", 0, 1, false).ok());
  SQLite::Database(path_, SQLite::OPEN_READWRITE)
      .exec(
          "UPDATE jobs SET job = CAST(x'0a06' || 'jobs/b' AS BLOB);"
          "UPDATE versions SET data = CAST(x'0a13' || 'models/n/versions/1' || x'1001' AS BLOB);"
          "UPDATE dataset_versions SET data = CAST(x'0a08' || 'models/m' AS BLOB);"
          "UPDATE events SET event = x'0802'");
  EXPECT_EQ(store->Load("a").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->ResolveVersion("m", "1").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->GetModel("m", 1, "").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->FindDataset({"d", 1}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->ReadEvents("a", 0, 1, false).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DatabaseFileTest, FullDiskTakesTheWholeTransactionBack) {
  auto connections = Connections::Open(path_, 1);
  ASSERT_TRUE(connections.ok()) << connections.status();
  const absl::Status status = (*connections)->Write([](SQLite::Database& database) {
    // No more pages than there are: SQLite takes it for a full disk.
    database.exec("PRAGMA max_page_count = 1");
    database.exec("INSERT INTO deleted_jobs (id) VALUES ('small')");
    database.exec("INSERT INTO deleted_jobs (id) VALUES (hex(zeroblob(100000)))");
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(jobs::ReasonOf(status), "DISK_FULL");
  const auto count = (*connections)->Read([](SQLite::Database& database) -> absl::StatusOr<int> {
    return database.execAndGet("SELECT count(*) FROM deleted_jobs").getInt();
  });
  EXPECT_EQ(*count, 0);
}

TEST_F(DatabaseFileTest, FolderThatIsNotThereIsAnError) {
  auto store = SqliteStore::Open(folder_ / "missing/atelier.db");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kPermissionDenied);
}

// A process that is killed while it commits, over and over: what it acknowledged before is there.
TEST_F(DatabaseFileTest, EverythingAcknowledgedSurvivesAKill) {
  for (int round = 0; round < 3; ++round) {
    const std::string id = absl::StrCat("job-", round);
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(channel[0]);
      auto store = SqliteStore::Open(path_);
      if (!store.ok()) _exit(1);
      jobs::JobRecord record = MakeRecord(id);
      auto sequence = (*store)->Insert(record, {});
      if (!sequence.ok()) _exit(1);
      record.sequence = *sequence;
      for (int i = 1;; ++i) {
        jobs::JobUpdate update;
        record.last_event = i;
        update.record = record;
        update.events = {EpochEvent(i)};
        if (!(*store)->Commit(update).ok() || write(channel[1], &i, sizeof(i)) != sizeof(i)) {
          _exit(1);
        }
      }
    }
    close(channel[1]);
    int acknowledged = 0;
    while (acknowledged < 20) {
      ASSERT_EQ(read(channel[0], &acknowledged, sizeof(acknowledged)),
                static_cast<ssize_t>(sizeof(acknowledged)));
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int more = 0;
    while (read(channel[0], &more, sizeof(more)) == sizeof(more)) acknowledged = more;
    close(channel[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    auto store = SqliteStore::Open(path_);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto record = (*store)->Load(id);
    ASSERT_TRUE(record.ok()) << record.status();
    const auto events = (*store)->ReadEvents(id, 0, 1'000'000, false);
    ASSERT_GE(static_cast<int>(events->size()), acknowledged);
    EXPECT_EQ(events->back().number(), record->last_event);  // All of a commit, or nothing.
    EXPECT_EQ(static_cast<std::int64_t>(events->size()), record->last_event);
  }
}

}  // namespace
}  // namespace atelier::store
