#include "server/remote/launch_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace atelier::remote {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Cause = jobs::ProcessEnd::Cause;

const LaunchKey kKey = {"12", "atelier:here/a/1"};

ListedLaunch Listed(std::optional<jobs::LaunchStatus> status, const LaunchKey& key = kKey) {
  return {.key = key, .status = std::move(status)};
}

ListedLaunch Running(const LaunchKey& key = kKey) {
  return Listed(jobs::LaunchRunning{"node n1"}, key);
}

ListedLaunch Ended(const LaunchKey& key = kKey) {
  return Listed(jobs::ProcessEnd{"PREEMPTED", Cause::kPreempted}, key);
}

// In the queue, for a reason that passes or for one that never does.
ListedLaunch Queued(const std::string& why, const LaunchKey& key = kKey) {
  ListedLaunch listed = Listed(jobs::LaunchPending{"waits: " + why}, key);
  listed.queued = true;
  return listed;
}

ListedLaunch Hopeless(const std::string& why) {
  ListedLaunch listed = Queued(why);
  listed.never_why = why;
  return listed;
}

std::vector<std::string> Ids(const std::vector<ListedLaunch>& launches) {
  std::vector<std::string> ids;
  for (const ListedLaunch& launch : launches) ids.push_back(launch.key.id);
  return ids;
}

class LaunchLedgerTest : public testing::Test {
 protected:
  LaunchLedgerTest() { ledger_.Watch(kKey, jobs::LaunchPending{"submitted"}, now_); }

  LaunchLedger::Findings Take(const std::vector<ListedLaunch>& list) {
    now_ += absl::Seconds(1);
    return ledger_.Take(list, now_, now_);
  }
  // What was told of the one job: "pending …", "running …" or "ended …"; empty for nothing.
  static std::string Told(const LaunchLedger::Findings& findings) {
    if (findings.news.empty()) return "";
    const jobs::LaunchStatus& status = findings.news.back().second;
    if (const auto* pending = std::get_if<jobs::LaunchPending>(&status)) {
      return "pending " + pending->why;
    }
    if (const auto* running = std::get_if<jobs::LaunchRunning>(&status)) {
      return "running " + running->where;
    }
    return "ended " + std::get<jobs::ProcessEnd>(status).how;
  }

  absl::Duration now_ = absl::Seconds(100);
  LaunchLedger ledger_{{.prefix = "atelier:here/",
                        .title = [](absl::string_view id) { return absl::StrCat("launch ", id); }}};
};

TEST_F(LaunchLedgerTest, TellsEachChangeOnce) {
  EXPECT_EQ(Told(Take({Queued("Priority")})), "pending waits: Priority");
  EXPECT_EQ(Told(Take({Queued("Priority")})), "");
  EXPECT_EQ(Told(Take({Queued("Resources")})), "pending waits: Resources");
  EXPECT_EQ(Told(Take({Running()})), "running node n1");
  EXPECT_EQ(Told(Take({Running()})), "");
  EXPECT_EQ(Told(Take({Listed(jobs::LaunchPending{"suspended"})})), "pending suspended");
  EXPECT_EQ(Told(Take({Listed(std::nullopt)})), "") << "of a state that is not known";
}

TEST_F(LaunchLedgerTest, EndIsTakenFromTheList) {
  Take({Running()});
  const auto findings = Take({Ended()});
  ASSERT_THAT(findings.ended, SizeIs(1));
  EXPECT_EQ(findings.ended[0].first.ToHandle(), kKey.ToHandle());
  EXPECT_EQ(findings.ended[0].second->how, "PREEMPTED");
  EXPECT_FALSE(ledger_.empty()) << "until it is known how";
  ledger_.Forget(kKey.ToHandle());
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(LaunchLedgerTest, ALaunchHasEndedThatTwoListsLack) {
  Take({Running()});
  EXPECT_THAT(Take({}).ended, IsEmpty());
  const auto findings = Take({});
  ASSERT_THAT(findings.ended, SizeIs(1));
  EXPECT_EQ(findings.ended[0].second, std::nullopt);
}

TEST_F(LaunchLedgerTest, AListFromBeforeTheLaunchSaysNothingOfIt) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(ledger_.Take({}, now_ - absl::Seconds(1), now_).ended, IsEmpty());
  }
}

TEST_F(LaunchLedgerTest, AnotherLaunchOfTheSameIdIsNotIt) {
  Take({Running({"12", "atelier:elsewhere/a/1"})});
  EXPECT_THAT(Take({Running({"12", "something"})}).ended, SizeIs(1));
}

TEST_F(LaunchLedgerTest, ALaunchToBeEndedIsCancelledUntilItIsGone) {
  Take({Running()});
  ledger_.Doom(kKey.ToHandle());
  EXPECT_THAT(Ids(Take({Running()}).cancel), ElementsAre("12"));
  EXPECT_THAT(Take({Running()}).cancel, IsEmpty());
  now_ += absl::Seconds(5);
  EXPECT_THAT(Ids(Take({Running()}).cancel), ElementsAre("12"));
  EXPECT_THAT(Take({Ended()}).ended, SizeIs(1));
}

TEST_F(LaunchLedgerTest, ALaunchOfThisServerThatNobodyKnowsIsCancelled) {
  const auto stray = Running({"13", "atelier:here/b/1"});
  const auto other = Running({"14", "atelier:elsewhere/b/1"});
  const auto gone = Ended({"15", "atelier:here/c/1"});
  const auto findings = Take({Running(), stray, other, gone});
  EXPECT_THAT(findings.unknown, ElementsAre("atelier:here/b/1"));
  EXPECT_THAT(Ids(findings.cancel), ElementsAre("13"));
  EXPECT_THAT(Take({Running(), stray}).unknown, IsEmpty()) << "said once";
  EXPECT_THAT(Take({Running(), Ended({"13", "atelier:here/b/1"})}).ended, IsEmpty())
      << "nobody waits for its end";
  ledger_.Forget(kKey.ToHandle());
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(LaunchLedgerTest, ALaunchThatIsUnderWayIsNoStray) {
  ledger_.BeginLaunch("atelier:here/b/1");
  const auto other = Queued("Priority", {"13", "atelier:here/b/1"});
  EXPECT_THAT(Take({Running(), other}).unknown, IsEmpty());
  ledger_.EndLaunch("atelier:here/b/1");
  EXPECT_THAT(Take({Running(), other}).unknown, SizeIs(1));
}

TEST_F(LaunchLedgerTest, WhatTheEngineWillNotRunIsGivenUpAndCancelled) {
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Take({Hopeless("PartitionConfig")}).cancel, IsEmpty());
  const auto findings = Take({Hopeless("PartitionConfig")});
  EXPECT_THAT(Told(findings), HasSubstr("launch 12 will never run"));
  EXPECT_THAT(Told(findings), HasSubstr("PartitionConfig"));
  EXPECT_EQ(std::get<jobs::ProcessEnd>(findings.news.back().second).cause, Cause::kRefused);
  EXPECT_THAT(Ids(findings.cancel), ElementsAre("12"));
  EXPECT_EQ(Told(Take({Hopeless("PartitionConfig")})), "") << "told once";
  Take({Ended()});
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(LaunchLedgerTest, AReasonThatPassesIsNoRefusal) {
  for (int i = 0; i < 9; ++i) {
    const auto findings = Take({i % 3 == 2 ? Queued("Priority") : Hopeless("PartitionConfig")});
    EXPECT_THAT(Told(findings), ::testing::Not(HasSubstr("ended")));
  }
}

TEST_F(LaunchLedgerTest, AnAttemptIsNotRunTwice) {
  Take({Running()});
  const auto findings = Take({Queued("BeginTime")});
  EXPECT_THAT(Told(findings), HasSubstr("put back into the queue, launch 12"));
  EXPECT_EQ(std::get<jobs::ProcessEnd>(findings.news.back().second).cause, Cause::kPreempted);
  EXPECT_THAT(Ids(findings.cancel), ElementsAre("12"));
}

TEST_F(LaunchLedgerTest, SilenceEndsNothing) {
  EXPECT_THAT(Told(ledger_.TakeSilence("it does not answer: connect failure")),
              HasSubstr("launch 12: it does not answer: connect failure"));
  Take({Running()});
  for (int i = 0; i < 100; ++i) {
    const auto findings = ledger_.TakeSilence("it does not answer: connect failure");
    EXPECT_THAT(findings.news, IsEmpty());
    EXPECT_THAT(findings.ended, IsEmpty());
  }
}

TEST_F(LaunchLedgerTest, CountsByNodeAndByTheFirstWordOfTheReason) {
  const LaunchKey second = {"13", "atelier:here/b/1"}, third = {"14", "atelier:here/c/1"};
  ledger_.Watch(second, jobs::LaunchPending{"submitted"}, now_);
  ledger_.Watch(third, jobs::LaunchPending{"submitted"}, now_);
  EXPECT_EQ(ledger_.Load(), (EngineLoad{.running = {}, .pending = {{"None", 3}}}));
  Take({Listed(jobs::LaunchRunning{"nodes n1, n2, Slurm job 12", {"n1", "n2"}}),
        Listed(jobs::LaunchPending{"waits: …", "ReqNodeNotAvail, UnavailableNodes:n2"}, second),
        Listed(jobs::LaunchPending{"waits: …", "Priority"}, third)});
  const EngineLoad load = {.running = {{"n1", 1}, {"n2", 1}},
                           .pending = {{"Priority", 1}, {"ReqNodeNotAvail", 1}}};
  EXPECT_EQ(ledger_.Load(), load);
  ledger_.TakeSilence("it does not answer");
  EXPECT_EQ(ledger_.Load(), load) << "as it was when the engine answered last";
  ledger_.Forget(kKey.ToHandle());
  EXPECT_EQ(ledger_.Load(), (EngineLoad{.running = {}, .pending = load.pending}));
}

TEST(LaunchKeyTest, HandlesAreReadAsTheyAreWritten) {
  const auto key = LaunchKey::Parse(kKey.ToHandle());
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->id, kKey.id);
  EXPECT_EQ(key->name, kKey.name);
  for (const char* handle : {"", "12", ":atelier:x", "12:34:boot"}) {
    EXPECT_EQ(LaunchKey::Parse(handle).status().code(), absl::StatusCode::kInvalidArgument)
        << handle;
  }
}

}  // namespace
}  // namespace atelier::remote
