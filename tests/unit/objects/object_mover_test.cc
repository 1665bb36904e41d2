#include "server/objects/object_mover.h"

#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "server/objects/object_fetcher.h"
#include "tests/unit/objects/object_test_server.h"

namespace atelier::objects {
namespace {

using State = jobs::ObjectRecord::State;

class CountingObserver final : public ObjectObserver {
 public:
  void Worked(ObjectWork, bool ok, std::int64_t bytes) override {
    ++(ok ? done : failed);
    moved += bytes;
  }
  void Pending(std::int64_t objects, std::int64_t) override { pending = objects; }
  void Cached(std::int64_t bytes) override { cached = bytes; }

  int done = 0;
  int failed = 0;
  std::int64_t moved = 0;
  std::int64_t pending = -1;
  std::int64_t cached = -1;
};

class ObjectMoverTest : public ObjectTest {
 protected:
  ObjectMoverTest() { Restart(1 << 20); }

  void Restart(std::int64_t cache_bytes) {
    OpenList();
    claim_ = std::make_unique<ObjectClaim>("a", folder_.path(), list_.get());
    cache_ = std::make_unique<ObjectCache>(folder_.path(), cache_bytes, &clock_, list_.get());
    mover_ = std::make_unique<ObjectMover>(
        ObjectMover::Options{
            .log = [this](const std::string& sentence) { log_.push_back(sentence); },
            .add_known = nullptr},
        ObjectMover::Dependencies{.clock = &clock_,
                                  .list = list_.get(),
                                  .client = &client_,
                                  .transfer = &transfer_,
                                  .claim = claim_.get(),
                                  .cache = cache_.get(),
                                  .observer = &observer_});
  }
  void Away() {
    s3_.before = [](const std::string&) { return absl::UnavailableError("no route to it"); };
  }
  bool IsHere(const std::string& path) { return std::filesystem::exists(folder_ / path); }

  ObjectTransfer transfer_{&client_};
  CountingObserver observer_;
  std::vector<std::string> log_;
  std::unique_ptr<ObjectClaim> claim_;
  std::unique_ptr<ObjectCache> cache_;
  std::unique_ptr<ObjectMover> mover_;
};

TEST_F(ObjectMoverTest, UploadsWhatIsListed) {
  Add(kPath, "archive");
  mover_->Tick();
  EXPECT_EQ(Stored(kPath), "archive");
  EXPECT_EQ(list_->FindObject(kPath)->state, State::kStored);
  EXPECT_EQ(observer_.done, 1);
  EXPECT_EQ(observer_.moved, 7);
  EXPECT_EQ(observer_.pending, 0);
}

TEST_F(ObjectMoverTest, NothingIsLostWhileTheStoreIsAway) {
  Add(kPath, "archive");
  Away();
  absl::Duration pause = mover_->Tick();
  EXPECT_EQ(pause, absl::Seconds(1));
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(pause);
    pause = mover_->Tick();
  }
  EXPECT_EQ(pause, absl::Minutes(1));
  EXPECT_EQ(log_.size(), 1u) << "It is said once.";
  Restart(1 << 20);
  s3_.before = nullptr;
  clock_.Advance(absl::Hours(1));
  mover_->Tick();
  EXPECT_EQ(Stored(kPath), "archive");
}

TEST_F(ObjectMoverTest, AStoreThatAsksForAPauseGetsIt) {
  mover_->Tick();
  Add(kPath, "archive");
  s3_.before = [](const std::string&) {
    http::Answer answer = FakeS3::Error(503, "SlowDown");
    answer.headers["retry-after"] = "42";
    return answer;
  };
  EXPECT_EQ(mover_->Tick(), absl::Seconds(42));
  s3_.calls.clear();
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(mover_->Tick(), absl::Seconds(40)) << "Whoever asks for it.";
  EXPECT_TRUE(s3_.calls.empty());
}

TEST_F(ObjectMoverTest, AnObjectThatFailsForItselfHoldsUpNoOther) {
  Add("models/a/1/model.tar.gz", "first");
  Add(kPath, "archive");
  std::filesystem::remove(folder_ / "models/a/1/model.tar.gz");
  mover_->Tick();
  EXPECT_EQ(Stored(kPath), "archive");
  EXPECT_EQ(observer_.failed, 1);
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_TRUE(absl::StrContains(log_[0], "models/a/1/model.tar.gz")) << log_[0];
  EXPECT_EQ(list_->FindObject("models/a/1/model.tar.gz")->tries, 1);
}

TEST_F(ObjectMoverTest, RemovesWhatIsDeletedAlsoAfterARestart) {
  Add(kPath, "archive");
  mover_->Tick();
  Away();
  ASSERT_TRUE(list_->DoomObjects("models/cnn/1/", clock_.Now()).ok());
  mover_->Tick();
  EXPECT_TRUE(s3_.objects.contains("prefix/k/" + std::string(kPath)));
  s3_.before = nullptr;
  Restart(1 << 20);
  clock_.Advance(absl::Minutes(2));
  mover_->Tick();
  EXPECT_FALSE(s3_.objects.contains("prefix/k/" + std::string(kPath)));
  EXPECT_TRUE(absl::IsNotFound(list_->FindObject(kPath).status()));
  EXPECT_EQ(*list_->NextObjectDue(), absl::InfiniteFuture());
}

TEST_F(ObjectMoverTest, AFileThatChangedWhileItWasUploadedIsUploadedAgain) {
  Add(kPath, "archive");
  mover_->Tick();
  Add(kPath, "second");
  bool once = true;
  s3_.after = [&](const std::string& call, http::Answer*) {
    if (absl::StartsWith(call, "PUT") && std::exchange(once, false)) Add(kPath, "third");
  };
  mover_->Tick();
  EXPECT_EQ(list_->FindObject(kPath)->state, State::kPending);
  mover_->Tick();
  EXPECT_EQ(Stored(kPath), "third");
  EXPECT_EQ(list_->FindObject(kPath)->state, State::kStored);
}

TEST_F(ObjectMoverTest, ADeletionWhileItIsUploadedWins) {
  Add(kPath, "archive");
  s3_.after = [&](const std::string& call, http::Answer*) {
    if (absl::StrContains(call, "model.tar.gz")) {
      EXPECT_TRUE(list_->DoomObjects("models/cnn/1/", clock_.Now()).ok());
    }
  };
  mover_->Tick();
  mover_->Tick();
  EXPECT_FALSE(s3_.objects.contains("prefix/k/" + std::string(kPath)));
}

TEST_F(ObjectMoverTest, TheOldestFilesGoOnceTheyAreStored) {
  Restart(10);
  Add("models/a/1/model.tar.gz", "sixsix");
  clock_.Advance(absl::Seconds(1));
  Add("models/b/1/model.tar.gz", "sixsix");
  mover_->Tick();
  EXPECT_TRUE(IsHere("models/a/1/model.tar.gz")) << "Somebody may be about to open it.";
  clock_.Advance(ObjectCache::kGrace + absl::Minutes(1));
  mover_->Tick();
  EXPECT_FALSE(IsHere("models/a/1/model.tar.gz"));
  EXPECT_TRUE(IsHere("models/b/1/model.tar.gz"));
  EXPECT_EQ(observer_.cached, 6);
}

TEST_F(ObjectMoverTest, AFileInUseStays) {
  Restart(0);
  Add(kPath, "archive");
  mover_->Tick();
  clock_.Advance(ObjectCache::kGrace + absl::Minutes(1));
  EXPECT_TRUE(cache_->Use(kPath));
  mover_->Tick();
  EXPECT_TRUE(IsHere(kPath));
}

TEST_F(ObjectMoverTest, WhatIsNotUploadedAndCheckpointsAlwaysStay) {
  Restart(0);
  Add("checkpoints/j/checkpoint-1.ckpt", "weights");
  mover_->Tick();
  Away();
  Add(kPath, "archive");
  clock_.Advance(absl::Hours(1));
  mover_->Tick();
  EXPECT_TRUE(IsHere(kPath));
  EXPECT_TRUE(IsHere("checkpoints/j/checkpoint-1.ckpt"));
}

TEST_F(ObjectMoverTest, FilesComeBackOnceForAllWhoAsk) {
  Add(kPath, "archive");
  mover_->Tick();
  std::filesystem::remove(folder_ / kPath);
  s3_.calls.clear();
  ObjectFetcher fetcher({.clock = &clock_,
                         .list = list_.get(),
                         .transfer = &transfer_,
                         .cache = cache_.get(),
                         .observer = &observer_});
  const auto there = fetcher.Bring(kPath);
  ASSERT_TRUE(there.ok());
  EXPECT_FALSE(*there);
  EXPECT_TRUE(fetcher.Fetch(kPath).ok());
  EXPECT_EQ(store::ReadFile(folder_ / kPath), "archive");
  EXPECT_EQ(s3_.Count("GET"), 1);
  EXPECT_TRUE(*fetcher.Bring(kPath));
  EXPECT_TRUE(*fetcher.Bring("models/none/1/model.tar.gz")) << "Its reader will say so.";
}

TEST_F(ObjectMoverTest, WhoAsksWhileTheStoreIsAwayIsToldAtOnce) {
  Add(kPath, "archive");
  mover_->Tick();
  std::filesystem::remove(folder_ / kPath);
  Away();
  ObjectFetcher fetcher({.clock = &clock_,
                         .list = list_.get(),
                         .transfer = &transfer_,
                         .cache = cache_.get(),
                         .observer = &observer_});
  const absl::Status status = fetcher.Fetch(kPath);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "no route to it")) << status;
  const std::size_t calls = s3_.calls.size();
  EXPECT_TRUE(absl::IsUnavailable(fetcher.Bring(kPath).status()));
  EXPECT_EQ(s3_.calls.size(), calls);
  s3_.before = nullptr;
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(fetcher.Fetch(kPath).ok());
}

}  // namespace
}  // namespace atelier::objects
