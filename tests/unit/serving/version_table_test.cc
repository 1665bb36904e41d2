#include "server/serving/version_table.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/serving/serving_state.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/wait.h"

namespace atelier::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CountingSwaps final : public ServingObserver {
 public:
  void Swapped(const std::string&) override { ++swaps; }
  std::atomic<int> swaps = 0;
};

class VersionTableTest : public testing::Test {
 protected:
  VersionTableTest() {
    for (const int number : {1, 2, 3}) Make(number);
    // Nothing happens by itself unless a test wants it to.
    options_.check_interval = absl::Hours(1);
    options_.observer = &swaps_;
    options_.log = [this](const std::string& sentence) {
      absl::MutexLock lock(&mutex_);
      log_.push_back(sentence);
    };
  }

  // Version `number` of model `net`, whose archive is a file that says so.
  Version Make(std::int64_t number) {
    const std::string name = absl::StrCat(number, ".tar.gz");
    folder_.Write(name, absl::StrCat("archive ", number));
    const Version version = {"net", number, folder_.File(name), ""};
    source_.Add(version);
    return version;
  }

  EngineLoader Loader() {
    return [this](const Version& version) -> EngineResult {
      ++loads_;
      if (gate_ != nullptr) gate_->WaitForNotification();
      if (broken_) return absl::UnavailableError("it is broken");
      return std::make_shared<FakeEngine>(
          std::vector<std::string>{absl::StrCat("version ", version.number)});
    };
  }

  std::unique_ptr<VersionTable> Table() {
    return std::make_unique<VersionTable>(options_, &source_, Loader());
  }

  static std::int64_t NumberOf(const VersionTable::Result& result) {
    return result.ok() ? (*result)->version.number : 0;
  }

  models::TemporaryFolder folder_;
  FakeVersions source_;
  CountingSwaps swaps_;
  VersionTable::Options options_;
  std::atomic<int> loads_ = 0;
  std::atomic<bool> broken_ = false;
  absl::Notification* gate_ = nullptr;
  absl::Mutex mutex_;
  std::vector<std::string> log_;
};

TEST_F(VersionTableTest, LoadsOnceAndRemembers) {
  const auto table = Table();
  const auto first = table->Load("net", "");
  ASSERT_EQ(NumberOf(first), 1);
  bool at_once = false;
  table->Get("net", "", [&](VersionTable::Result again) { at_once = *again == *first; });
  EXPECT_TRUE(at_once);
  EXPECT_EQ(*table->Load("net", "1"), *first) << "another name of the same version";
  EXPECT_EQ(loads_, 1);
}

TEST_F(VersionTableTest, AnswersAllWhoWaitForOneLoad) {
  absl::Notification gate;
  gate_ = &gate;
  const auto table = Table();
  const std::vector<Later<VersionTable::Result>> waiting(5);
  for (const auto& later : waiting) {
    table->Get("net", "", [later](VersionTable::Result result) { later.Set(result); });
    EXPECT_FALSE(later.done());
  }
  gate.Notify();
  for (const auto& later : waiting) EXPECT_TRUE(later.Wait().ok());
  EXPECT_EQ(loads_, 1);
}

TEST_F(VersionTableTest, PassesTheRegistrysErrorsOn) {
  EXPECT_EQ(Table()->Load("net", "9").status(), absl::NotFoundError("no such version"));
}

TEST_F(VersionTableTest, AReferenceSwitchesWhenItsNewVersionIsLoaded) {
  const auto table = Table();
  ASSERT_EQ(NumberOf(table->Load("net", "")), 1);
  source_.SetLatest(2);
  EXPECT_EQ(NumberOf(table->Load("net", "")), 1) << "nobody told of it yet";
  table->Refresh("net");
  EXPECT_EQ(NumberOf(table->Load("net", "")), 2);
  EXPECT_EQ(swaps_.swaps, 1);
}

TEST_F(VersionTableTest, TheOldVersionServesWhileTheNewOneLoads) {
  const auto table = Table();
  ASSERT_EQ(NumberOf(table->Load("net", "")), 1);
  absl::Notification gate;
  gate_ = &gate;
  source_.SetLatest(2);
  std::thread refresh([&] { table->Refresh("net"); });
  EXPECT_TRUE(WaitFor([&] { return loads_ == 2; }));
  std::int64_t served = 0;
  table->Get("net", "", [&](VersionTable::Result result) { served = NumberOf(result); });
  EXPECT_EQ(served, 1);
  gate.Notify();
  refresh.join();
  EXPECT_EQ(NumberOf(table->Load("net", "")), 2);
}

TEST_F(VersionTableTest, AVersionThatCannotBeLoadedLeavesTheOldOneServingAndSaysWhy) {
  const auto table = Table();
  ASSERT_EQ(NumberOf(table->Load("net", "")), 1);
  broken_ = true;
  source_.SetLatest(2);
  table->Refresh("net");
  table->Refresh("net");
  EXPECT_EQ(NumberOf(table->Load("net", "")), 1);
  EXPECT_EQ(swaps_.swaps, 0);
  absl::MutexLock lock(&mutex_);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("stays at version 1: Version 2 of model net cannot be "
                                          "used: it is broken")))
      << "said once";
}

TEST_F(VersionTableTest, WhatCouldNotSwitchIsTriedAgain) {
  options_.check_interval = absl::Milliseconds(1);
  options_.retry_delay = absl::ZeroDuration();
  const auto table = Table();
  ASSERT_EQ(NumberOf(table->Load("net", "")), 1);
  broken_ = true;
  source_.SetLatest(2);
  table->Refresh("net");
  EXPECT_EQ(NumberOf(table->Load("net", "")), 1);
  broken_ = false;
  EXPECT_TRUE(WaitFor([&] { return NumberOf(table->Load("net", "")) == 2; }));
}

TEST_F(VersionTableTest, FollowsWithoutMakingAnyoneWait) {
  const auto table = Table();
  ASSERT_EQ(NumberOf(table->Load("net", "")), 1);
  absl::Notification gate;
  gate_ = &gate;
  source_.SetLatest(2);
  table->Follow("net");
  EXPECT_EQ(NumberOf(table->Load("net", "")), 1) << "the new version is still being loaded";
  gate.Notify();
  EXPECT_TRUE(WaitFor([&] { return NumberOf(table->Load("net", "")) == 2; }));
  EXPECT_EQ(swaps_.swaps, 1);
}

TEST_F(VersionTableTest, AReferenceThatIsGoneIsGone) {
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "2").ok());
  source_.Remove("net", 2);
  table->Refresh("net");
  EXPECT_TRUE(absl::IsNotFound(table->Load("net", "2").status()));
}

TEST_F(VersionTableTest, KeepsTheMostRecentlyUsed) {
  options_.max_loaded = 2;
  const auto table = Table();
  for (const char* number : {"1", "2", "1", "3"}) ASSERT_TRUE(table->Load("net", number).ok());
  EXPECT_EQ(table->Loaded().size(), 2);
  EXPECT_EQ(loads_, 3);
  ASSERT_TRUE(table->Load("net", "1").ok());
  EXPECT_EQ(loads_, 3) << "version 1 was used later than version 2";
  ASSERT_TRUE(table->Load("net", "2").ok());
  EXPECT_EQ(loads_, 4);
}

// Asks the table for another version in the moment a version is loaded, as a request may.
class AskingMeanwhile final : public ServingObserver {
 public:
  std::shared_ptr<VersionObserver> Observe(const std::string& model, std::int64_t) override {
    struct Asking final : VersionObserver {
      void Loaded(absl::Duration, std::int64_t) override {
        if (owner->table == nullptr) return;
        owner->table->Get(model, "1", [](VersionTable::Result) {});
      }
      AskingMeanwhile* owner;
      std::string model;
    };
    auto asking = std::make_shared<Asking>();
    asking->owner = this;
    asking->model = model;
    return asking;
  }

  VersionTable* table = nullptr;
};

TEST_F(VersionTableTest, AVersionIsNotEvictedInTheMomentItIsLoaded) {
  AskingMeanwhile asking;
  options_.max_loaded = 1;
  options_.observer = &asking;
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "1").ok());
  asking.table = table.get();
  const auto two = table->Load("net", "2");
  ASSERT_EQ(NumberOf(two), 2);
  EXPECT_THAT(table->Loaded(), ElementsAre(*two)) << "what is routed is what counts as loaded";
  ASSERT_EQ(*table->Load("net", "2"), *two);
  EXPECT_EQ(loads_, 2);
}

TEST_F(VersionTableTest, AnEvictedVersionLivesAsLongAsItIsUsed) {
  options_.max_loaded = 1;
  const auto table = Table();
  auto one = *table->Load("net", "1");
  const std::weak_ptr<ServedVersion> watched = one;
  ASSERT_TRUE(table->Load("net", "2").ok());
  EXPECT_EQ(one->engine->class_names().front(), "version 1");
  one.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(VersionTableTest, AnIdleVersionLeavesMemoryAndComesBack) {
  options_.idle = absl::ZeroDuration();
  options_.check_interval = absl::Milliseconds(1);
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "").ok());
  EXPECT_TRUE(WaitFor([&] { return table->Loaded().empty(); }));
  EXPECT_TRUE(table->Load("net", "").ok());
}

TEST_F(VersionTableTest, AnArchiveThatChangedOnDiskIsNoticed) {
  options_.check_interval = absl::Milliseconds(1);
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "1").ok());
  ASSERT_TRUE(table->Load("net", "2").ok());
  std::filesystem::remove(folder_.File("1.tar.gz"));
  EXPECT_TRUE(WaitFor([&] { return table->Loaded().size() == 1; }));
  const auto gone = table->Load("net", "1");
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr("1.tar.gz"));
  EXPECT_TRUE(table->Load("net", "2").ok()) << "the rest serve on";
}

TEST_F(VersionTableTest, AFailureIsRememberedForAWhile) {
  broken_ = true;
  options_.retry_delay = absl::Hours(1);
  const auto table = Table();
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "").status()));
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "").status()));
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(table->StandingOf(*source_.Resolve("net", "1")).state, VersionTable::State::kFailed);
}

TEST_F(VersionTableTest, AFailureIsTriedAgainAfterTheDelay) {
  broken_ = true;
  options_.retry_delay = absl::ZeroDuration();
  const auto table = Table();
  EXPECT_FALSE(table->Load("net", "").ok());
  broken_ = false;
  EXPECT_TRUE(table->Load("net", "").ok());
}

TEST_F(VersionTableTest, ADeletedVersionLeavesMemory) {
  const auto table = Table();
  const std::weak_ptr<ServedVersion> served = *table->Load("net", "1");
  table->Forget("net", 1);
  EXPECT_TRUE(served.expired());
}

TEST_F(VersionTableTest, AnUnloadedVersionStaysOutUntilItIsAllowed) {
  const auto table = Table();
  const Version one = *source_.Resolve("net", "1");
  ASSERT_TRUE(table->Load("net", "").ok());
  table->Unload("net", 1);
  EXPECT_EQ(table->StandingOf(one).state, VersionTable::State::kUnloaded);
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "").status()));
  EXPECT_TRUE(table->Load("net", "2").ok());
  table->Allow("net", 1);
  EXPECT_TRUE(table->Load("net", "").ok());
  EXPECT_EQ(table->StandingOf(one).state, VersionTable::State::kReady);
}

TEST_F(VersionTableTest, AnUnloadedModelIsOutWithAllItsVersions) {
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "1").ok());
  ASSERT_TRUE(table->Load("net", "2").ok());
  table->Unload("net", std::nullopt);
  EXPECT_TRUE(table->Loaded().empty());
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "3").status()));
  table->Allow("net", std::nullopt);
  EXPECT_TRUE(table->Load("net", "3").ok());
}

TEST_F(VersionTableTest, RestoresWhatTheLastServerHad) {
  options_.state_path = folder_.File("serving.json");
  {
    const auto table = Table();
    table->Restore();
    ASSERT_TRUE(table->Load("net", "").ok());
    ASSERT_TRUE(table->Load("net", "2").ok());
    table->Unload("net", 3);
  }
  source_.Remove("net", 2);
  loads_ = 0;
  const auto table = Table();
  table->Restore();
  EXPECT_EQ(loads_, 1) << "the one that there still is";
  bool at_once = false;
  table->Get("net", "", [&](VersionTable::Result result) { at_once = result.ok(); });
  EXPECT_TRUE(at_once);
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "3").status()));
}

TEST_F(VersionTableTest, WhatIsRememberedStaysUntilItIsRestored) {
  options_.state_path = folder_.File("serving.json");
  {
    const auto table = Table();
    table->Restore();
    ASSERT_TRUE(table->Load("net", "2").ok());
    table->Refresh("net");  // What is loaded is written down when this returns.
  }
  Table()->Refresh("net");
  const auto table = Table();
  table->Restore();
  EXPECT_EQ(table->Loaded().size(), 1);
}

TEST_F(VersionTableTest, BringsAnArchiveThatIsAway) {
  const std::string archive = folder_.File("1.tar.gz");
  const std::string away = folder_.File("away");
  std::filesystem::rename(archive, away);
  const auto table = Table();
  EXPECT_FALSE(*table->CanAnswer("net", "1")) << "nobody brings it";
  source_.fetch = [](const Version&) { return absl::UnavailableError("The store is away."); };
  EXPECT_TRUE(*table->CanAnswer("net", "1"));
  EXPECT_THAT(std::string(table->Load("net", "1").status().message()),
              HasSubstr("cannot be used: The store is away."));
  EXPECT_FALSE(*table->CanAnswer("net", "1"));
  source_.fetch = [&](const Version&) {
    std::filesystem::rename(away, archive);
    return absl::OkStatus();
  };
  options_.retry_delay = absl::ZeroDuration();
  EXPECT_EQ(NumberOf(Table()->Load("net", "1")), 1);
}

TEST_F(VersionTableTest, AVersionMayStayWithoutItsArchive) {
  options_.keeps_without_archive = true;
  options_.check_interval = absl::Milliseconds(1);
  const auto table = Table();
  const auto loaded = table->Load("net", "1");
  ASSERT_TRUE(loaded.ok());
  std::filesystem::remove(folder_.File("1.tar.gz"));
  for (int i = 0; i < 10; ++i) table->Refresh("net");
  EXPECT_EQ(*table->Load("net", ""), *loaded) << "by another name, too";
  table->Forget("net", 1);
  EXPECT_TRUE(absl::IsUnavailable(table->Load("net", "1").status()));
}

TEST_F(VersionTableTest, WhoWaitsAtTheEndIsAnswered) {
  absl::Notification gate;
  gate_ = &gate;
  auto table = Table();
  const Later<VersionTable::Result> later;
  table->Get("net", "", [&, later](VersionTable::Result result) {
    later.Set(std::move(result));
    gate.Notify();
  });
  EXPECT_TRUE(WaitFor([&] { return loads_ == 1; }));
  table.reset();
  EXPECT_TRUE(absl::IsUnavailable(later.Wait().status()));
}

TEST_F(VersionTableTest, AThousandSwitchesUnderLoadFailNobodyAndAnswerWithNoWrongVersion) {
  const auto table = Table();
  ASSERT_TRUE(table->Load("net", "").ok());
  std::atomic<bool> ending = false;
  std::atomic<int> wrong = 0, asked = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!ending) {
        const auto result = table->Load("net", "");
        ++asked;
        const bool right = result.ok() && (*result)->engine->class_names().front() ==
                                              absl::StrCat("version ", NumberOf(result));
        if (!right) ++wrong;
      }
    });
  }
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t next = 1 + i % 2;
    source_.SetLatest(next);
    table->Refresh("net");
    EXPECT_EQ(NumberOf(table->Load("net", "")), next);
  }
  ending = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(asked, 0);
  EXPECT_EQ(swaps_.swaps, 999);
}

}  // namespace
}  // namespace atelier::serving
