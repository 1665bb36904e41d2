#include "server/slurm/slurm_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace atelier::slurm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Cause = jobs::ProcessEnd::Cause;

const JobKey kKey = {"12", "atelier:here/a/1"};

ListedJob Listed(const std::string& state, const std::string& reason = "None",
                 const std::string& id = "12", const std::string& comment = kKey.comment) {
  return {id, state, reason, state == "PENDING" ? "" : "n1", comment};
}

class SlurmLedgerTest : public testing::Test {
 protected:
  SlurmLedgerTest() { ledger_.Watch(kKey, jobs::LaunchPending{"submitted"}, now_); }

  SlurmLedger::Findings Take(const std::vector<ListedJob>& list) {
    now_ += absl::Seconds(1);
    return ledger_.Take(list, now_, now_);
  }
  // What was told of the one job: "pending …", "running …" or "ended …"; empty for nothing.
  static std::string Told(const SlurmLedger::Findings& findings) {
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
  SlurmLedger ledger_{{.prefix = "atelier:here/"}};
};

TEST_F(SlurmLedgerTest, TellsEachChangeOnce) {
  EXPECT_EQ(Told(Take({Listed("PENDING", "Priority")})), "pending Slurm job 12 waits: Priority");
  EXPECT_EQ(Told(Take({Listed("PENDING", "Priority")})), "");
  EXPECT_EQ(Told(Take({Listed("PENDING", "Resources")})), "pending Slurm job 12 waits: Resources");
  EXPECT_EQ(Told(Take({Listed("RUNNING")})), "running node n1, Slurm job 12");
  EXPECT_EQ(Told(Take({Listed("COMPLETING")})), "");
  EXPECT_THAT(Told(Take({Listed("SUSPENDED")})), HasSubstr("does not run: SUSPENDED"));
  EXPECT_EQ(Told(Take({Listed("NEVER_HEARD_OF")})), "");
}

TEST_F(SlurmLedgerTest, EndIsTakenFromTheList) {
  Take({Listed("RUNNING")});
  const auto findings = Take({Listed("PREEMPTED")});
  ASSERT_THAT(findings.ended, SizeIs(1));
  EXPECT_EQ(findings.ended[0].first.ToHandle(), kKey.ToHandle());
  EXPECT_EQ(findings.ended[0].second.state, "PREEMPTED");
  EXPECT_FALSE(ledger_.empty()) << "until it is known how";
  ledger_.Forget(kKey.ToHandle());
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(SlurmLedgerTest, AJobHasEndedThatTwoListsLack) {
  Take({Listed("RUNNING")});
  EXPECT_THAT(Take({}).ended, IsEmpty());
  const auto findings = Take({});
  ASSERT_THAT(findings.ended, SizeIs(1));
  EXPECT_EQ(findings.ended[0].second.state, "");
}

TEST_F(SlurmLedgerTest, AListFromBeforeTheJobSaysNothingOfIt) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(ledger_.Take({}, now_ - absl::Seconds(1), now_).ended, IsEmpty());
  }
}

TEST_F(SlurmLedgerTest, AnotherJobOfTheSameNumberIsNotIt) {
  Take({Listed("RUNNING", "None", "12", "atelier:elsewhere/a/1")});
  EXPECT_THAT(Take({Listed("RUNNING", "None", "12", "something")}).ended, SizeIs(1));
}

TEST_F(SlurmLedgerTest, AJobToBeEndedIsCancelledUntilItIsGone) {
  Take({Listed("RUNNING")});
  ledger_.Doom(kKey.ToHandle());
  EXPECT_THAT(Take({Listed("RUNNING")}).cancel_running, ElementsAre("12"));
  EXPECT_THAT(Take({Listed("RUNNING")}).cancel_running, IsEmpty());
  now_ += absl::Seconds(5);
  EXPECT_THAT(Take({Listed("COMPLETING")}).cancel_running, ElementsAre("12"));
  EXPECT_THAT(Take({Listed("CANCELLED")}).ended, SizeIs(1));
}

TEST_F(SlurmLedgerTest, APendingJobIsCancelledAsOne) {
  ledger_.Doom(kKey.ToHandle());
  EXPECT_THAT(Take({Listed("PENDING", "Priority")}).cancel_pending, ElementsAre("12"));
}

TEST_F(SlurmLedgerTest, AJobOfThisServerThatNobodyKnowsIsCancelled) {
  const auto stray = Listed("RUNNING", "None", "13", "atelier:here/b/1");
  const auto other = Listed("RUNNING", "None", "14", "atelier:elsewhere/b/1");
  const auto gone = Listed("COMPLETED", "None", "15", "atelier:here/c/1");
  const auto findings = Take({Listed("RUNNING"), stray, other, gone});
  EXPECT_THAT(findings.unknown, ElementsAre("atelier:here/b/1"));
  EXPECT_THAT(findings.cancel_running, ElementsAre("13"));
  EXPECT_THAT(Take({Listed("RUNNING"), stray}).unknown, IsEmpty()) << "said once";
  EXPECT_THAT(
      Take({Listed("RUNNING"), Listed("CANCELLED", "None", "13", "atelier:here/b/1")}).ended,
      IsEmpty())
      << "nobody waits for its end";
  ledger_.Forget(kKey.ToHandle());
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(SlurmLedgerTest, AJobWhoseLaunchIsUnderWayIsNoStray) {
  ledger_.BeginLaunch("atelier:here/b/1");
  const auto other = Listed("PENDING", "Priority", "13", "atelier:here/b/1");
  EXPECT_THAT(Take({Listed("RUNNING"), other}).unknown, IsEmpty());
  ledger_.EndLaunch("atelier:here/b/1");
  EXPECT_THAT(Take({Listed("RUNNING"), other}).unknown, SizeIs(1));
}

TEST_F(SlurmLedgerTest, WhatSlurmWillNotRunIsGivenUpAndCancelled) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Take({Listed("PENDING", "PartitionConfig")}).cancel_pending, IsEmpty());
  }
  const auto findings = Take({Listed("PENDING", "PartitionConfig")});
  EXPECT_THAT(Told(findings), HasSubstr("PartitionConfig"));
  EXPECT_EQ(std::get<jobs::ProcessEnd>(findings.news.back().second).cause, Cause::kRefused);
  EXPECT_THAT(findings.cancel_pending, ElementsAre("12"));
  EXPECT_EQ(Told(Take({Listed("PENDING", "PartitionConfig")})), "") << "told once";
  Take({Listed("CANCELLED")});
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(SlurmLedgerTest, AReasonThatPassesIsNoRefusal) {
  for (int i = 0; i < 9; ++i) {
    const auto findings = Take({Listed("PENDING", i % 3 == 2 ? "Priority" : "PartitionConfig")});
    EXPECT_THAT(Told(findings), ::testing::Not(HasSubstr("ended")));
  }
}

TEST_F(SlurmLedgerTest, AnAttemptIsNotRunTwice) {
  Take({Listed("RUNNING")});
  const auto findings = Take({Listed("PENDING", "BeginTime")});
  EXPECT_THAT(Told(findings), HasSubstr("put back into the queue"));
  EXPECT_EQ(std::get<jobs::ProcessEnd>(findings.news.back().second).cause, Cause::kPreempted);
  EXPECT_THAT(findings.cancel_pending, ElementsAre("12"));
}

TEST_F(SlurmLedgerTest, SilenceEndsNothing) {
  EXPECT_THAT(Told(ledger_.TakeSilence("Slurm does not answer: connect failure")),
              HasSubstr("does not answer: connect failure"));
  Take({Listed("RUNNING")});
  for (int i = 0; i < 100; ++i) {
    const auto findings = ledger_.TakeSilence("Slurm does not answer: connect failure");
    EXPECT_THAT(findings.news, IsEmpty());
    EXPECT_THAT(findings.ended, IsEmpty());
  }
}

TEST(JobKeyTest, HandlesAreReadAsTheyAreWritten) {
  const auto key = JobKey::Parse(kKey.ToHandle());
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->id, kKey.id);
  EXPECT_EQ(key->comment, kKey.comment);
  for (const char* handle : {"", "12", ":atelier:x", "12:34:boot"}) {
    EXPECT_EQ(JobKey::Parse(handle).status().code(), absl::StatusCode::kInvalidArgument) << handle;
  }
}

TEST(EndOfTest, SaysHowAndWhere) {
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 7, 0}).how, "exited with code 7, Slurm job 12 on node n1");
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 4, 0}).cause, Cause::kServerUnreachable);
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 5, 0}).cause, Cause::kOutOfMemory);
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 0, 9}).how, "killed by signal 9, Slurm job 12 on node n1");
  EXPECT_THAT(EndOf("12", {"FAILED", "n1", 0, 53}).how, HasSubstr("its folder is not on the node"));
  EXPECT_EQ(EndOf("12", {"OUT_OF_MEMORY", "n1", 0, 125}).cause, Cause::kOutOfMemory);
  EXPECT_EQ(EndOf("12", {"PREEMPTED", "n1", 0, 15}).cause, Cause::kPreempted);
  EXPECT_EQ(EndOf("12", {"NODE_FAIL", "n1", 0, 0}).how, "NODE_FAIL, Slurm job 12 on node n1");
  EXPECT_EQ(EndOf("12", {"NODE_FAIL", "n1", 0, 0}).cause, Cause::kUnknown);
  EXPECT_EQ(EndOf("12", {}).how, "Slurm no longer lists job 12");
}

}  // namespace
}  // namespace atelier::slurm
