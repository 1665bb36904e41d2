// What --check finds and --repair mends. The real programs: tests/integration/test_upkeep.py.
#include "server/upkeep/check.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "gmock/gmock.h"
#include "server/store/data_directory.h"
#include "tests/unit/upkeep/data_directory_fixture.h"

namespace atelier::upkeep {
namespace {

using ::testing::HasSubstr;

class CheckTest : public DataDirectoryTest {
 protected:
  void Execute(const std::string& sql) {
    store_.reset();
    SQLite::Database(data_dir_ + "/atelier.db", SQLite::OPEN_READWRITE).exec(sql);
  }
};

TEST_F(CheckTest, WhatBelongsTogetherIsSound) {
  const auto [sound, report] = Check();
  EXPECT_TRUE(sound) << report;
  EXPECT_THAT(report, HasSubstr("models: 1 versions sound"));
}

TEST_F(CheckTest, AnArchiveOfTheSameSizeWithOtherBytesIsFound) {
  std::string other = kArchive;
  other[1000] = 'x';
  Write("models/model/1/model.tar.gz", other);
  const auto [sound, report] = Check(/*repair=*/true);
  EXPECT_FALSE(sound);
  EXPECT_THAT(report, HasSubstr("problem: model model@1"));
  EXPECT_THAT(report, HasSubstr("not mended: put a copy back"));
  EXPECT_EQ(Read("models/model/1/model.tar.gz"), other) << "it may be the only copy";
}

TEST_F(CheckTest, AMissingArchiveIsFoundAndItsRowStays) {
  std::filesystem::remove_all(data_dir_ + "/models/model/1");
  EXPECT_FALSE(Check(/*repair=*/true).first);
  Open();
  EXPECT_TRUE(store_->ResolveVersion("model", "1").ok());
}

TEST_F(CheckTest, AnArchiveInAnObjectStoreAloneIsNotMissing) {
  std::filesystem::remove_all(data_dir_ + "/models/model/1");
  Execute(
      "INSERT INTO objects (path, object, size_bytes, added, due, used) VALUES "
      "('models/model/1/model.tar.gz', 'job/output/model.tar.gz', 300000, 0, 0, 0)");
  EXPECT_FALSE(Check().first) << "it is not uploaded yet";
  Execute("UPDATE objects SET state = 1");
  const auto [sound, report] = Check();
  EXPECT_TRUE(sound) << report;
  EXPECT_THAT(report, HasSubstr("in the object store alone: 1 files"));
}

TEST_F(CheckTest, WhatBelongsToNothingMovesAndIsNotDeleted) {
  const std::vector<std::string> paths = {
      "models/model/2/model.tar.gz", "models/gone/1/model.tar.gz", "datasets/gone/1/packed.dataset",
      "jobs/gone/attempts/1/worker.log", "checkpoints/gone/checkpoint-1.ckpt"};
  for (const std::string& path : paths) Write(path, path);
  const auto [found, before] = Check();
  EXPECT_FALSE(found);
  EXPECT_THAT(before, HasSubstr("5 of 5 problems remain; --repair mends 5 of them."));
  const auto [sound, report] = Check(/*repair=*/true);
  EXPECT_TRUE(sound) << report;
  for (const std::string& path : paths) EXPECT_EQ(Read("recovered/" + path), path);
  EXPECT_TRUE(Check().first);
}

TEST_F(CheckTest, WhatMovesReplacesNothing) {
  for (const char* content : {"first", "second"}) {
    Write("models/model/2/model.tar.gz", content);
    EXPECT_TRUE(Check(/*repair=*/true).first);
  }
  EXPECT_EQ(Read("recovered/models/model/2/model.tar.gz"), "first");
  EXPECT_EQ(Read("recovered/models/model/2.2/model.tar.gz"), "second");
}

TEST_F(CheckTest, AVersionThatAJobHasReservedIsNoOrphan) {
  jobs::JobRecord record = store::MakeRecord("second");
  record.job.mutable_spec()->set_model_name("model");
  record.reserved_version = *store_->ReserveVersion("model");
  ASSERT_TRUE(store_->Insert(record, {}).ok());
  Write("models/model/2/model.tar.gz", "to be registered");
  EXPECT_TRUE(Check(/*repair=*/true).first);
  EXPECT_TRUE(Exists("models/model/2/model.tar.gz"));
}

TEST_F(CheckTest, AMissingIndexIsMadeAnew) {
  Execute("DROP INDEX unfinished_jobs");
  const auto [found, report] = Check();
  EXPECT_FALSE(found);
  EXPECT_THAT(report, HasSubstr("the index unfinished_jobs is missing"));
  EXPECT_TRUE(Check(/*repair=*/true).first);
  EXPECT_TRUE(Check().first);
}

TEST_F(CheckTest, AMissingTableIsNotInvented) {
  Execute("DROP TABLE evaluations");
  const auto [sound, report] = Check(/*repair=*/true);
  EXPECT_FALSE(sound);
  EXPECT_THAT(report, HasSubstr("the table evaluations is missing"));
  EXPECT_THAT(report, HasSubstr("restore a backup"));
}

TEST_F(CheckTest, ReferencesWithoutTheirRowsAreFound) {
  Execute("INSERT INTO events (job, number, kind, event) VALUES (99, 1, 1, x'')");
  const auto [sound, report] = Check();
  EXPECT_FALSE(sound);
  EXPECT_THAT(report, HasSubstr("a row of events belongs to none of jobs"));
}

TEST_F(CheckTest, AMessageOfAnotherRowIsFound) {
  Execute("UPDATE versions SET data = CAST(x'0a13' || 'models/n/versions/1' || x'1001' AS BLOB)");
  const auto [sound, report] = Check();
  EXPECT_FALSE(sound);
  EXPECT_THAT(report, HasSubstr("the row of model model@1 cannot be read"));
}

TEST_F(CheckTest, AJobWithWhichNoServerWouldStartIsFound) {
  jobs::JobRecord record = store::MakeRecord("torn");
  record.job.set_state(v1::JOB_STATE_TRAINING);
  ASSERT_TRUE(store_->Insert(record, {}).ok());
  const auto [sound, report] = Check();
  EXPECT_FALSE(sound);
  EXPECT_THAT(report, HasSubstr("the row of job torn says TRAINING, which its attempts"));
}

TEST_F(CheckTest, ADamagedDatabaseLeavesTheFilesAlone) {
  store_.reset();
  std::string bytes = Read("atelier.db");
  for (std::size_t i = 2 * 4096; i < bytes.size(); ++i) bytes[i] = static_cast<char>(7 * i);
  Write("atelier.db", bytes);
  Write("models/gone/1/model.tar.gz", "x");
  EXPECT_FALSE(Check(/*repair=*/true).first);
  EXPECT_TRUE(Exists("models/gone/1/model.tar.gz"));
}

TEST_F(CheckTest, NoticesThatWouldNeverBeSentAre) {
  jobs::JobRecord record = store::MakeRecord("ended");
  record.notify_url = "http://example.com/";
  ASSERT_TRUE(store_->Insert(record, {}).ok());
  EXPECT_TRUE(Check().first) << "a job that has not ended is waited for";
  Execute(absl::StrCat("UPDATE jobs SET state = ", static_cast<int>(v1::JOB_STATE_COMPLETED),
                       " WHERE id = 'ended'"));
  EXPECT_FALSE(Check().first);
  EXPECT_TRUE(Check(/*repair=*/true).first);
  Open();
  const auto due = store_->DueNotices(absl::Now(), 10);
  ASSERT_TRUE(due.ok() && due->size() == 1);
  EXPECT_EQ(due->front().job.name(), "jobs/ended");
}

TEST_F(CheckTest, ADirectoryInUseIsLeftAlone) {
  const auto held = store::DataDirectory::Open(data_dir_);
  ASSERT_TRUE(held.ok());
  EXPECT_THAT(Check(/*repair=*/true).second, HasSubstr("in use by another server"));
}

TEST_F(CheckTest, WhatIsNoDataDirectoryIsNotMadeOne) {
  EXPECT_THAT(CheckIn(folder_ / "nothing").second, HasSubstr("is no data directory"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "nothing"));
}

}  // namespace
}  // namespace atelier::upkeep
