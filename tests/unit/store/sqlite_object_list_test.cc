#include <gtest/gtest.h>

#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

using State = jobs::ObjectRecord::State;

const absl::Time kThen = absl::FromUnixSeconds(1'700'000'000);

class SqliteObjectListTest : public testing::Test {
 protected:
  SqliteObjectListTest() { store_ = *SqliteStore::Open(folder_ / "atelier.db"); }

  jobs::ObjectRecord Add(const std::string& path, absl::Time time = kThen) {
    EXPECT_TRUE(store_->AddObject(path, "k/" + path, 7, time).ok());
    return *store_->FindObject(path);
  }
  void AddStored(const std::string& path, absl::Time time = kThen) {
    EXPECT_TRUE(store_->ObjectStored(Add(path, time), time).ok());
  }
  std::vector<std::string> Due(absl::Time now = kThen) {
    std::vector<std::string> paths;
    const auto due = store_->DueObjects(now, 10);
    for (const jobs::ObjectRecord& record : *due) paths.push_back(record.path);
    return paths;
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteObjectListTest, RemembersEverythingOfARecord) {
  jobs::ObjectRecord record = Add("models/a/1/model.tar.gz");
  record.size_bytes = 9;
  record.part_bytes = 4;
  record.digests = std::string("a\0b", 3);
  ASSERT_TRUE(store_->ObjectStored(record, kThen).ok());
  store_ = nullptr;
  store_ = *SqliteStore::Open(folder_ / "atelier.db");
  const auto found = store_->FindObject("models/a/1/model.tar.gz");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->key, "k/models/a/1/model.tar.gz");
  EXPECT_EQ(found->state, State::kStored);
  EXPECT_EQ(found->size_bytes, 9);
  EXPECT_EQ(found->part_bytes, 4);
  EXPECT_EQ(found->digests, record.digests);
}

TEST_F(SqliteObjectListTest, TheOneThatWasDueFirstComesFirst) {
  Add("b", kThen + absl::Seconds(1));
  Add("a", kThen + absl::Seconds(2));
  Add("c");
  EXPECT_EQ(*store_->NextObjectDue(), kThen);
  EXPECT_EQ(Due(), (std::vector<std::string>{"c"}));
  EXPECT_EQ(Due(kThen + absl::Minutes(1)), (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_EQ(store_->PendingObjects()->pending, 3);
  EXPECT_EQ(store_->PendingObjects()->pending_bytes, 21);
  ASSERT_TRUE(store_->PostponeObject(*store_->FindObject("c"), kThen + absl::Hours(1)).ok());
  EXPECT_EQ(store_->FindObject("c")->tries, 1);
  EXPECT_TRUE(Due().empty());
}

TEST_F(SqliteObjectListTest, ChangesOfAnEarlierGenerationDoNothing) {
  const jobs::ObjectRecord first = Add("a");
  const jobs::ObjectRecord second = Add("a");
  ASSERT_TRUE(store_->ObjectStored(first, kThen).ok());
  EXPECT_EQ(store_->FindObject("a")->state, State::kPending);
  ASSERT_TRUE(store_->RemoveObject(first).ok());
  ASSERT_TRUE(store_->PostponeObject(first, kThen + absl::Hours(1)).ok());
  EXPECT_EQ(Due(), (std::vector<std::string>{"a"}));
  ASSERT_TRUE(store_->ObjectStored(second, kThen).ok());
  EXPECT_EQ(store_->FindObject("a")->state, State::kStored);
}

TEST_F(SqliteObjectListTest, DoomsWhatBeginsSoAndNothingElse) {
  AddStored("models/a/1/model.tar.gz");
  AddStored("models/a/10/model.tar.gz");
  ASSERT_TRUE(store_->DoomObjects("models/a/1/", kThen).ok());
  EXPECT_EQ(Due(), (std::vector<std::string>{"models/a/1/model.tar.gz"}));
  EXPECT_TRUE(absl::IsNotFound(store_->FindObject("models/a/1/model.tar.gz").status()));
  EXPECT_TRUE(store_->FindObject("models/a/10/model.tar.gz").ok());
  EXPECT_EQ(store_->ListObjects("models/")->size(), 1u);
  EXPECT_EQ(store_->PendingObjects()->pending, 0);
}

TEST_F(SqliteObjectListTest, AnUploadIsKeptUntilItIsUsed) {
  jobs::ObjectRecord record = Add("a");
  record.upload = "id";
  ASSERT_TRUE(store_->KeepUpload(record).ok());
  EXPECT_EQ(Add("a").upload, "id") << "It is to be gone on with, or ended.";
  ASSERT_TRUE(store_->ObjectStored(*store_->FindObject("a"), kThen).ok());
  EXPECT_EQ(store_->FindObject("a")->upload, "");
}

TEST_F(SqliteObjectListTest, AVersionsObjectsAreDoomedWithIt) {
  jobs::JobUpdate update;
  update.record = MakeRecord("job");
  update.record.sequence = *store_->Insert(update.record, {});
  update.model_version = MakeVersion("a", *store_->ReserveVersion("a"));
  ASSERT_TRUE(store_->Commit(update).ok());
  AddStored("models/a/1/model.tar.gz");
  ASSERT_TRUE(store_->DeleteVersion("a", 1, true).ok());
  EXPECT_EQ(Due(absl::Now()), (std::vector<std::string>{"models/a/1/model.tar.gz"}));
}

TEST_F(SqliteObjectListTest, WhatUnfinishedJobsNeedIsNotIdle) {
  jobs::JobUpdate made;
  made.record = MakeRecord("import");
  made.record.sequence = *store_->Insert(made.record, {});
  made.dataset_version.emplace();
  ASSERT_EQ(*store_->ReserveDatasetVersion("digits"), 1);
  made.dataset_version->set_name(jobs::DatasetVersionName("digits", 1));
  made.dataset_version->set_version(1);
  ASSERT_TRUE(store_->Commit(made).ok());
  AddStored("models/a/1/model.tar.gz");
  AddStored("datasets/digits/1/packed.dataset", kThen + absl::Seconds(1));
  AddStored("datasets/letters/1/packed.dataset", kThen + absl::Seconds(2));
  AddStored("datasets/fresh/1/packed.dataset", kThen + absl::Hours(1));
  const auto idle = [&] {
    std::vector<std::string> paths;
    const auto found = store_->IdleObjects(kThen + absl::Minutes(1));
    for (const jobs::ObjectRecord& one : *found) paths.push_back(one.path);
    return paths;
  };
  EXPECT_EQ(idle().size(), 3u);
  jobs::JobRecord user = MakeRecord("user");
  user.job.mutable_spec()->set_dataset("digits@1");
  ASSERT_TRUE(store_->Insert(user, {}).ok());
  EXPECT_EQ(idle(), (std::vector<std::string>{"models/a/1/model.tar.gz",
                                              "datasets/letters/1/packed.dataset"}));
  ASSERT_TRUE(store_->TouchObject("models/a/1/model.tar.gz", kThen + absl::Hours(1)).ok());
  EXPECT_EQ(idle(), (std::vector<std::string>{"datasets/letters/1/packed.dataset"}));
}

TEST_F(SqliteObjectListTest, AStoreThatLostEverythingGetsItAgain) {
  AddStored("a");
  AddStored("b");
  ASSERT_TRUE(store_->DoomObjects("b", kThen).ok());
  ASSERT_TRUE(store_->RequeueObjects(kThen).ok());
  EXPECT_EQ(store_->FindObject("a")->state, State::kPending);
  EXPECT_EQ(store_->PendingObjects()->pending, 1);
}

}  // namespace
}  // namespace atelier::store
