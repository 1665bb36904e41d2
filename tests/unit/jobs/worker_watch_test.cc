#include "server/jobs/worker_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace atelier::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kStart = absl::Seconds(1000);

class WorkerWatchTest : public testing::Test {
 protected:
  // The jobs and processes that are overdue at a time, one word each.
  std::vector<std::string> OverdueAt(absl::Duration now) {
    const WorkerWatch::Overdue overdue = watch_.TakeOverdue(now);
    std::vector<std::string> words;
    for (const auto& job : overdue.silent) words.push_back("silent " + job);
    for (const auto& job : overdue.disobedient) words.push_back("disobedient " + job);
    for (const auto& handle : overdue.lingering) words.push_back("lingering " + handle);
    return words;
  }
  // An attempt whose worker has attached.
  void Run(const std::string& job) {
    watch_.Begin(job, "process of " + job, kStart);
    watch_.Hear(job, kStart);
  }

  const WorkerWatch::Options options_ = {};
  WorkerWatch watch_{options_};
  const absl::Duration instant_ = absl::Milliseconds(1);
};

TEST_F(WorkerWatchTest, HasNothingToWaitForAtFirst) {
  EXPECT_THAT(OverdueAt(kStart), IsEmpty());
  EXPECT_EQ(watch_.NextDue(kStart), absl::InfiniteDuration());
  EXPECT_EQ(watch_.attempts(), 0);
  EXPECT_EQ(watch_.leaving(), 0);
  EXPECT_FALSE(watch_.launching());
}

TEST_F(WorkerWatchTest, ANewProcessMustAttach) {
  watch_.Begin("a", "process", kStart);
  EXPECT_EQ(watch_.attempts(), 1);
  EXPECT_THAT(OverdueAt(kStart + options_.attach_timeout - instant_), IsEmpty());
  EXPECT_THAT(OverdueAt(kStart + options_.attach_timeout), ElementsAre("silent a"));
}

TEST_F(WorkerWatchTest, ASignOfLifeRenewsTheLease) {
  Run("a");
  const absl::Duration later = kStart + options_.lease / 2;
  watch_.Hear("a", later);
  EXPECT_THAT(OverdueAt(later + options_.lease - instant_), IsEmpty());
  EXPECT_THAT(OverdueAt(later + options_.lease), ElementsAre("silent a"));
}

TEST_F(WorkerWatchTest, AnAdoptedWorkerHasAFreshLeaseAndItsStopAFreshDeadline) {
  watch_.Adopt("a", "process", /*stopping=*/true, kStart);
  watch_.Hear("a", kStart + options_.stop_timeout);
  EXPECT_THAT(OverdueAt(kStart + options_.stop_timeout - instant_), IsEmpty());
  EXPECT_THAT(OverdueAt(kStart + options_.stop_timeout), ElementsAre("disobedient a"));
  watch_.Adopt("b", "other", /*stopping=*/false, kStart);
  watch_.End("a");
  EXPECT_THAT(OverdueAt(kStart + options_.lease), ElementsAre("silent b"));
}

TEST_F(WorkerWatchTest, AWorkerThatObeysHasNoDeadline) {
  Run("a");
  watch_.TellToStop("a", kStart);
  watch_.Obey("a");
  watch_.Hear("a", kStart + options_.stop_timeout);
  EXPECT_THAT(OverdueAt(kStart + options_.stop_timeout), IsEmpty());
}

TEST_F(WorkerWatchTest, AnEndThatCouldNotBeStoredIsLookedAtAgain) {
  Run("a");
  const absl::Duration now = kStart + options_.lease;
  ASSERT_THAT(OverdueAt(now), ElementsAre("silent a"));
  watch_.LookAgain("a", now);
  EXPECT_THAT(OverdueAt(now), IsEmpty());
  EXPECT_THAT(OverdueAt(now + options_.retry_delay), ElementsAre("silent a"));
}

TEST_F(WorkerWatchTest, NothingIsOverdueWhileAnOutcomeIsStored) {
  Run("a");
  watch_.TellToStop("a", kStart);
  watch_.BeginStoring("a");
  EXPECT_TRUE(watch_.storing("a"));
  const absl::Duration later = kStart + absl::Hours(1);
  EXPECT_THAT(OverdueAt(later), IsEmpty());
  EXPECT_EQ(watch_.NextDue(later), absl::InfiniteDuration());
  watch_.Obey("a");
  watch_.EndStoring("a", later);
  EXPECT_FALSE(watch_.storing("a"));
  EXPECT_THAT(OverdueAt(later), IsEmpty());
  EXPECT_THAT(OverdueAt(later + options_.lease), ElementsAre("silent a"));
}

TEST_F(WorkerWatchTest, RemembersHowAProcessEnded) {
  Run("a");
  EXPECT_FALSE(watch_.exited("a").has_value());
  const WorkerWatch::Exit exit = watch_.TakeExit("process of a", {.how = "killed"});
  EXPECT_FALSE(exit.was_leaving);
  EXPECT_EQ(exit.job, "a");
  EXPECT_EQ(watch_.exited("a")->how, "killed");
  watch_.SetExited("a", {.how = "exited"});
  EXPECT_EQ(watch_.exited("a")->how, "exited");
  watch_.End("a");
  EXPECT_FALSE(watch_.exited("a").has_value());
}

TEST_F(WorkerWatchTest, AnEndedAttemptIsWatchedNoLonger) {
  Run("a");
  watch_.End("a");
  EXPECT_EQ(watch_.attempts(), 0);
  watch_.Hear("a", kStart);
  watch_.TellToStop("a", kStart);
  watch_.BeginStoring("a");
  EXPECT_FALSE(watch_.storing("a"));
  EXPECT_THAT(OverdueAt(kStart + absl::Hours(1)), IsEmpty());
}

TEST_F(WorkerWatchTest, ALeavingProcessMustBeGone) {
  watch_.Leave("process", kStart);
  EXPECT_EQ(watch_.leaving(), 1);
  EXPECT_THAT(OverdueAt(kStart + options_.exit_timeout - instant_), IsEmpty());
  EXPECT_THAT(OverdueAt(kStart + options_.exit_timeout), ElementsAre("lingering process"));
  EXPECT_EQ(watch_.leaving(), 0) << "said once";
}

TEST_F(WorkerWatchTest, ALeavingProcessGoesByItself) {
  watch_.Leave("process", kStart);
  EXPECT_TRUE(watch_.TakeExit("process", {}).was_leaving);
  EXPECT_EQ(watch_.leaving(), 0);
  EXPECT_FALSE(watch_.TakeExit("process", {}).was_leaving);
}

TEST_F(WorkerWatchTest, AProcessMayEndBeforeItsLaunchReturns) {
  EXPECT_EQ(watch_.TakeExit("process", {.how = "too early"}).job, "");
  watch_.BeginLaunch("a");
  EXPECT_TRUE(watch_.launching());
  EXPECT_TRUE(watch_.launching("a"));
  EXPECT_FALSE(watch_.launching("b"));
  watch_.TakeExit("process", {.how = "killed"});
  EXPECT_EQ(std::get<ProcessEnd>(*watch_.EndLaunch("process")).how, "killed");
  EXPECT_FALSE(watch_.launching());
  watch_.BeginLaunch("b");
  EXPECT_FALSE(watch_.EndLaunch("process").has_value()) << "that was the launch before";
}

TEST_F(WorkerWatchTest, PausesBetweenStartsGrowToTheLongestAndBeginAnew) {
  EXPECT_LT(watch_.next_start(), kStart);
  for (const int factor : {1, 2, 4, 8, 16, 32}) {
    watch_.StartFailed(kStart);
    EXPECT_EQ(watch_.next_start(), kStart + factor * options_.retry_delay);
  }
  for (int i = 0; i < 100; ++i) watch_.StartFailed(kStart);
  EXPECT_EQ(watch_.next_start(), kStart + options_.max_retry_delay);
  EXPECT_EQ(watch_.failed_starts(), 106);
  watch_.StartWorked();
  EXPECT_EQ(watch_.failed_starts(), 0);
  watch_.StartFailed(kStart);
  EXPECT_EQ(watch_.next_start(), kStart + options_.retry_delay);
}

TEST_F(WorkerWatchTest, IsDueAtTheNextDeadlineOrAfterItsInterval) {
  Run("a");
  EXPECT_EQ(watch_.NextDue(kStart), kStart + options_.watch_interval);
  const absl::Duration end = kStart + options_.lease;
  EXPECT_EQ(watch_.NextDue(end - instant_), end);
  watch_.End("a");
  watch_.Leave("process", kStart);
  EXPECT_EQ(watch_.NextDue(kStart), kStart + options_.watch_interval);
}

TEST_F(WorkerWatchTest, ForgivesTheTimeInWhichTheServerStoodStill) {
  Run("a");
  watch_.Leave("process", kStart);
  watch_.ExpectCall(kStart + absl::Seconds(1));
  const absl::Duration gap = absl::Minutes(10);
  const absl::Duration late = kStart + absl::Seconds(1) + gap;
  EXPECT_THAT(OverdueAt(late), IsEmpty());
  watch_.ExpectCall(absl::InfiniteDuration());
  EXPECT_THAT(OverdueAt(kStart + gap + options_.exit_timeout), ElementsAre("lingering process"));
  EXPECT_THAT(OverdueAt(kStart + gap + options_.lease - instant_), IsEmpty());
  EXPECT_THAT(OverdueAt(kStart + gap + options_.lease), ElementsAre("silent a"));
}

TEST_F(WorkerWatchTest, ForgivesNoOrdinaryDelay) {
  Run("a");
  watch_.Forgive(options_.watch_interval);
  EXPECT_THAT(OverdueAt(kStart + options_.lease), ElementsAre("silent a"));
}

}  // namespace
}  // namespace atelier::jobs
