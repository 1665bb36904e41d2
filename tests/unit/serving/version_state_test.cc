#include "server/serving/version_state.h"

#include <gtest/gtest.h>

#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/fakes.h"

namespace atelier::serving {
namespace {

constexpr std::chrono::seconds kRetry(5);

class VersionStateTest : public testing::Test {
 protected:
  VersionStateTest() {
    folder_.Write("one", "1");
    folder_.Write("other", "12");
    file_ = models::FileIdentity::Of(folder_.File("one"));
    other_ = models::FileIdentity::Of(folder_.File("other"));
  }

  // Brings a state that is new to where its name says.
  void Load() {
    EXPECT_EQ(state_.BeginLoading(), nullptr);
    state_.FinishLoading(served_, *file_);
  }
  void Fail() {
    EXPECT_EQ(state_.BeginLoading(), nullptr);
    state_.FailLoading(absl::UnavailableError("broken"), file_, now_);
  }

  models::TemporaryFolder folder_;
  VersionState::File file_, other_;
  const SteadyTime now_ = std::chrono::steady_clock::now();
  const VersionState::ServedPtr served_ =
      std::make_shared<ServedVersion>(Version{"net", 1, "", ""}, std::make_shared<FakeEngine>(),
                                      std::make_shared<VersionObserver>());
  VersionState state_;
};

TEST_F(VersionStateTest, BeginsAbsentAndAllowed) {
  EXPECT_TRUE(state_.blank());
  EXPECT_FALSE(state_.loading());
  EXPECT_FALSE(state_.kept_out());
  EXPECT_EQ(state_.served(), nullptr);
  EXPECT_TRUE(state_.failure().ok());
  EXPECT_TRUE(state_.CanAnswer(file_)) << "it would be loaded";
}

TEST_F(VersionStateTest, FromAbsentToLoading) {
  EXPECT_EQ(state_.BeginLoading(), nullptr);
  EXPECT_TRUE(state_.loading());
  EXPECT_FALSE(state_.blank());
  EXPECT_EQ(state_.served(), nullptr);
  EXPECT_TRUE(state_.CanAnswer(file_));
}

TEST_F(VersionStateTest, FromLoadingToReady) {
  Load();
  EXPECT_FALSE(state_.loading());
  EXPECT_FALSE(state_.blank());
  EXPECT_EQ(state_.served(), served_);
  EXPECT_EQ(state_.ServedFrom(file_), served_);
  EXPECT_EQ(state_.ServedFrom(other_), nullptr);
  EXPECT_EQ(state_.ServedFrom(std::nullopt), nullptr);
  EXPECT_TRUE(state_.CanAnswer(file_));
}

TEST_F(VersionStateTest, FromLoadingToFailed) {
  Fail();
  EXPECT_FALSE(state_.loading());
  EXPECT_FALSE(state_.blank());
  EXPECT_EQ(state_.served(), nullptr);
  EXPECT_EQ(state_.failure(), absl::UnavailableError("broken"));
  EXPECT_FALSE(state_.CanAnswer(file_));
  EXPECT_TRUE(state_.CanAnswer(other_)) << "that one was not tried";
}

TEST_F(VersionStateTest, AFailureIsRecentForAWhileAndForItsFile) {
  EXPECT_TRUE(state_.RecentFailure(file_, now_, kRetry).ok());
  Fail();
  EXPECT_FALSE(state_.RecentFailure(file_, now_ + kRetry / 2, kRetry).ok());
  EXPECT_TRUE(state_.RecentFailure(file_, now_ + kRetry, kRetry).ok());
  EXPECT_TRUE(state_.RecentFailure(other_, now_, kRetry).ok());
}

TEST_F(VersionStateTest, FromFailedToLoading) {
  Fail();
  EXPECT_EQ(state_.BeginLoading(), nullptr);
  EXPECT_TRUE(state_.loading());
  EXPECT_TRUE(state_.failure().ok());
}

TEST_F(VersionStateTest, FromReadyToLoading) {
  Load();
  EXPECT_EQ(state_.BeginLoading(), served_);
  EXPECT_TRUE(state_.loading());
  EXPECT_EQ(state_.served(), nullptr);
}

TEST_F(VersionStateTest, FromReadyToAbsent) {
  Load();
  EXPECT_EQ(state_.Drop(), served_);
  EXPECT_TRUE(state_.blank());
}

TEST_F(VersionStateTest, OnlyWhatIsReadyIsDropped) {
  EXPECT_EQ(state_.Drop(), nullptr);
  EXPECT_TRUE(state_.blank());
  EXPECT_EQ(state_.BeginLoading(), nullptr);
  EXPECT_EQ(state_.Drop(), nullptr);
  EXPECT_TRUE(state_.loading());
  state_.FailLoading(absl::UnavailableError("broken"), file_, now_);
  EXPECT_EQ(state_.Drop(), nullptr);
  EXPECT_FALSE(state_.failure().ok());
}

TEST_F(VersionStateTest, OnlyWhatIsLoadingEndsLoading) {
  state_.FinishLoading(served_, *file_);
  EXPECT_TRUE(state_.blank());
  state_.FailLoading(absl::UnavailableError("broken"), file_, now_);
  EXPECT_TRUE(state_.blank());
}

TEST_F(VersionStateTest, IsKeptOutUntilAllowed) {
  state_.KeepOut();
  EXPECT_TRUE(state_.kept_out());
  EXPECT_FALSE(state_.blank());
  EXPECT_FALSE(state_.CanAnswer(file_));
  state_.Allow();
  EXPECT_FALSE(state_.kept_out());
  EXPECT_TRUE(state_.blank());
}

TEST_F(VersionStateTest, WhatFailedIsRememberedWhileItIsKeptOut) {
  Fail();
  state_.KeepOut();
  state_.Allow();
  EXPECT_FALSE(state_.RecentFailure(file_, now_, kRetry).ok());
}

}  // namespace
}  // namespace atelier::serving
