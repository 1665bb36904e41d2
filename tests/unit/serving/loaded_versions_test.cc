#include "server/serving/loaded_versions.h"

#include <atomic>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/fakes.h"

namespace atelier::serving {
namespace {

using ::testing::HasSubstr;

class LoadedVersionsTest : public testing::Test {
 protected:
  // Version `number` of model `net`, whose archive is a file that says so.
  Version Make(std::int64_t number) {
    const std::string name = absl::StrCat(number, ".tar.gz");
    folder_.Write(name, absl::StrCat("archive ", number));
    return {"net", number, folder_.File(name), ""};
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

  // The engine, however long it takes to come.
  static EngineResult Get(LoadedVersions* versions, const Version& version) {
    const Later<EngineResult> later;
    auto known = versions->Get(version, [later](EngineResult engine) { later.Set(engine); });
    return known.has_value() ? *known : later.Wait();
  }

  models::TemporaryFolder folder_;
  std::atomic<int> loads_ = 0;
  std::atomic<bool> broken_ = false;
  absl::Notification* gate_ = nullptr;
};

TEST_F(LoadedVersionsTest, LoadsOnceAndRemembers) {
  LoadedVersions versions({}, Loader());
  const Version one = Make(1);
  const auto first = Get(&versions, one);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*first)->class_names().front(), "version 1");
  const auto again = versions.Get(one, [](EngineResult) { FAIL(); });
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(**again, *first);
  EXPECT_EQ(loads_, 1);
}

TEST_F(LoadedVersionsTest, AnswersAllWhoWaitForOneLoad) {
  absl::Notification gate;
  gate_ = &gate;
  LoadedVersions versions({}, Loader());
  const Version one = Make(1);
  const std::vector<Later<EngineResult>> waiting(5);
  for (const auto& later : waiting) {
    EXPECT_FALSE(
        versions.Get(one, [later](EngineResult engine) { later.Set(engine); }).has_value());
  }
  gate.Notify();
  for (const auto& later : waiting) EXPECT_TRUE(later.Wait().ok());
  EXPECT_EQ(loads_, 1);
}

TEST_F(LoadedVersionsTest, KeepsTheMostRecentlyUsed) {
  LoadedVersions versions({.max_loaded = 2}, Loader());
  const Version one = Make(1), two = Make(2), three = Make(3);
  for (const Version& version : {one, two, one, three}) ASSERT_TRUE(Get(&versions, version).ok());
  EXPECT_EQ(versions.loaded(), 2);
  EXPECT_EQ(loads_, 3);
  ASSERT_TRUE(Get(&versions, one).ok());
  EXPECT_EQ(loads_, 3) << "version 1 was used later than version 2";
  ASSERT_TRUE(Get(&versions, two).ok());
  EXPECT_EQ(loads_, 4);
}

TEST_F(LoadedVersionsTest, AnEvictedEngineLivesAsLongAsItIsUsed) {
  LoadedVersions versions({.max_loaded = 1}, Loader());
  const auto one = Get(&versions, Make(1));
  ASSERT_TRUE(Get(&versions, Make(2)).ok());
  EXPECT_EQ((*one)->class_names().front(), "version 1");
}

TEST_F(LoadedVersionsTest, AMissingArchiveIsUnavailableAtOnce) {
  LoadedVersions versions({}, Loader());
  const Version one = Make(1);
  ASSERT_TRUE(Get(&versions, one).ok());
  std::filesystem::remove(one.archive_path);
  const auto gone = versions.Get(one, [](EngineResult) { FAIL(); });
  ASSERT_TRUE(gone.has_value());
  EXPECT_EQ(gone->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone->status().message()), HasSubstr("1.tar.gz"));
}

TEST_F(LoadedVersionsTest, AChangedArchiveIsLoadedAgain) {
  LoadedVersions versions({}, Loader());
  const Version one = Make(1);
  ASSERT_TRUE(Get(&versions, one).ok());
  folder_.Write("1.tar.gz", "something longer than before");
  ASSERT_TRUE(Get(&versions, one).ok());
  EXPECT_EQ(loads_, 2);
}

TEST_F(LoadedVersionsTest, AFailureIsRememberedForAWhile) {
  broken_ = true;
  LoadedVersions versions({.retry_delay = absl::InfiniteDuration()}, Loader());
  const Version one = Make(1);
  EXPECT_EQ(Get(&versions, one).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Get(&versions, one).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(versions.loaded(), 0);
}

TEST_F(LoadedVersionsTest, AFailureIsTriedAgainAfterTheDelay) {
  broken_ = true;
  LoadedVersions versions({.retry_delay = absl::ZeroDuration()}, Loader());
  const Version one = Make(1);
  EXPECT_FALSE(Get(&versions, one).ok());
  broken_ = false;
  EXPECT_TRUE(Get(&versions, one).ok());
}

TEST_F(LoadedVersionsTest, ADeletedVersionLeavesMemory) {
  LoadedVersions versions({}, Loader());
  const Version one = Make(1);
  const std::weak_ptr<const Engine> engine = *Get(&versions, one);
  EXPECT_FALSE(engine.expired());
  versions.Forget("net", 1);
  EXPECT_TRUE(engine.expired());
  EXPECT_EQ(versions.loaded(), 0);
}

TEST_F(LoadedVersionsTest, WhoWaitsAtTheEndIsAnswered) {
  absl::Notification gate;
  gate_ = &gate;
  auto versions = std::make_unique<LoadedVersions>(LoadedVersions::Options(), Loader());
  const Later<EngineResult> later;
  versions->Get(Make(1), [&, later](EngineResult engine) {
    later.Set(engine);
    gate.Notify();
  });
  versions.reset();
  EXPECT_EQ(later.Wait().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace atelier::serving
