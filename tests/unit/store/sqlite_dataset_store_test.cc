#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/error.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

using jobs::ReasonOf;

class SqliteDatasetStoreTest : public testing::Test {
 protected:
  SqliteDatasetStoreTest() {
    store_ = *SqliteStore::Open(folder_ / "atelier.db");
    record_ = MakeRecord("job");
    record_.sequence = *store_->Insert(record_, {});
  }

  // Makes the next version of a data set, as the end of a job does.
  std::int64_t Add(const std::string& dataset, std::int64_t bytes = 100,
                   const std::string& sha256 = "abc") {
    const auto version = store_->ReserveDatasetVersion(dataset);
    EXPECT_TRUE(version.ok()) << version.status();
    jobs::JobUpdate update;
    update.record = record_;
    update.dataset_version.emplace();
    update.dataset_version->set_name(jobs::DatasetVersionName(dataset, *version));
    update.dataset_version->set_version(*version);
    update.dataset_version->set_size_bytes(bytes);
    update.dataset_version->mutable_source()->set_sha256(sha256);
    EXPECT_TRUE(store_->Commit(update).ok());
    return *version;
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
  jobs::JobRecord record_;
};

TEST_F(SqliteDatasetStoreTest, ANameMeansTheNewestVersion) {
  Add("digits");
  Add("digits");
  const auto dataset = store_->FindDataset({"digits"});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->name(), "datasets/digits/versions/2");
  EXPECT_EQ(dataset->versions_size(), 2);
  EXPECT_EQ(store_->FindDataset({"digits", 1})->version(), 1);
}

TEST_F(SqliteDatasetStoreTest, TellsWhatIsNotThere) {
  Add("digits");
  EXPECT_EQ(ReasonOf(store_->FindDataset({"letters"}).status()), "DATASET_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->FindDataset({"digits", 2}).status()), "VERSION_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->DeleteDataset({"digits", 2}, false).status()), "VERSION_NOT_FOUND");
}

TEST_F(SqliteDatasetStoreTest, ListsTheNewestOfEach) {
  Add("letters");
  Add("digits");
  Add("letters");
  const auto datasets = store_->ListDatasets("", 100);
  ASSERT_TRUE(datasets.ok()) << datasets.status();
  ASSERT_EQ(datasets->size(), 2);
  EXPECT_EQ(datasets->at(0).name(), "datasets/digits/versions/1");
  EXPECT_EQ(datasets->at(1).name(), "datasets/letters/versions/2");
  EXPECT_EQ(store_->ListDatasetVersions()->size(), 3);
}

TEST_F(SqliteDatasetStoreTest, ListsAPageAndOneMoreByName) {
  for (const char* name : {"c", "a", "d", "b"}) Add(name);
  const auto page = store_->ListDatasets("b", 1);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 2);
  EXPECT_EQ(page->at(0).name(), "datasets/b/versions/1");
  EXPECT_EQ(page->at(1).name(), "datasets/c/versions/1");
  EXPECT_EQ(store_->ListDatasets("d", 1)->size(), 1);
  EXPECT_THAT(*store_->DatasetNames(3), testing::ElementsAre("a", "b", "c"));
}

TEST_F(SqliteDatasetStoreTest, APageEndsWhereItsBytesDo) {
  for (const char* name : {"a", "b", "c", "d"}) Add(name, 100, std::string(2 << 20, 'x'));
  const auto page = store_->ListDatasets("", 1000);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->size(), 2) << "one that fits and one that does not";
}

TEST_F(SqliteDatasetStoreTest, FindsVersionsByWhatTheyWereMadeOf) {
  Add("digits", 100, "abc");
  Add("digits", 100, "def");
  Add("digits", 100, "abc");
  const auto found = store_->FindImported("digits", "abc");
  ASSERT_EQ(found->size(), 2);
  EXPECT_EQ(found->at(0).version(), 3);
  EXPECT_TRUE(store_->FindImported("letters", "abc")->empty());
}

TEST_F(SqliteDatasetStoreTest, CountsTheirBytes) {
  EXPECT_EQ(*store_->DatasetBytes(), 0);
  Add("digits", 100);
  Add("letters", 23);
  EXPECT_EQ(*store_->DatasetBytes(), 123);
}

TEST_F(SqliteDatasetStoreTest, DeletesAVersionAndNeverGivesItsNumberAgain) {
  Add("digits");
  Add("digits");
  EXPECT_EQ(*store_->DeleteDataset({"digits", 2}, false), std::vector<std::int64_t>{2});
  EXPECT_EQ(store_->FindDataset({"digits"})->version(), 1);
  EXPECT_EQ(Add("digits"), 3);
}

TEST_F(SqliteDatasetStoreTest, DeletesSeveralVersionsOnlyByForce) {
  Add("digits");
  Add("digits");
  EXPECT_EQ(ReasonOf(store_->DeleteDataset({"digits"}, false).status()), "SEVERAL_VERSIONS");
  EXPECT_EQ(store_->DeleteDataset({"digits"}, true)->size(), 2);
  EXPECT_TRUE(store_->ListDatasets("", 100)->empty());
}

TEST_F(SqliteDatasetStoreTest, KeepsWhatTheWaitingRunsOfAnExperimentNeed) {
  Add("digits");
  Add("digits");
  jobs::ExperimentRecord experiment;
  experiment.id = "sweep";
  experiment.experiment.set_name("experiments/sweep");
  experiment.experiment.set_state(v1::EXPERIMENT_STATE_RUNNING);
  experiment.experiment.add_configurations()->set_dataset("digits@1");
  ASSERT_TRUE(store_->InsertExperiment(experiment, {}).ok());
  const absl::Status refused = store_->DeleteDataset({"digits", 1}, false).status();
  EXPECT_EQ(ReasonOf(refused), "DATASET_IN_USE");
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("experiments/sweep"));
  EXPECT_EQ(ReasonOf(store_->DeleteDataset({"digits"}, true).status()), "DATASET_IN_USE");
  EXPECT_TRUE(store_->DeleteDataset({"digits", 2}, false).ok());
  experiment.experiment.set_state(v1::EXPERIMENT_STATE_COMPLETED);
  ASSERT_TRUE(store_->CommitExperiment(experiment, std::nullopt).ok());
  EXPECT_TRUE(store_->DeleteDataset({"digits", 1}, false).ok());
}

TEST_F(SqliteDatasetStoreTest, StoresNoTrainingOnWhatWasDeleted) {
  Add("digits");
  Add("digits");
  ASSERT_TRUE(store_->DeleteDataset({"digits", 1}, false).ok());
  jobs::JobRecord record = MakeRecord("late");
  record.job.mutable_spec()->set_dataset("digits@1");
  EXPECT_EQ(ReasonOf(store_->Insert(record, {}).status()), "VERSION_NOT_FOUND");
  record.job.mutable_spec()->set_dataset("digits@2");
  EXPECT_TRUE(store_->Insert(record, {}).ok());
}

}  // namespace
}  // namespace atelier::store
