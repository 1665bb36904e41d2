#include "server/slurm/slurm_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace atelier::slurm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(SlurmTextTest, ReadsAListOfJobs) {
  const auto jobs = ParseList(
      "12|RUNNING|None|n1|atelier:s/a/1\n"
      "13|PENDING|ReqNodeNotAvail, UnavailableNodes:n2|| a comment | with bars\n"
      "14_2|PENDING|Priority||(null)\n"
      "15+1|RUNNING|None|n[1-2]|(null)\n");
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  ASSERT_THAT(*jobs, SizeIs(4));
  EXPECT_EQ((*jobs)[0].id, "12");
  EXPECT_EQ((*jobs)[0].state, "RUNNING");
  EXPECT_EQ((*jobs)[0].nodes, "n1");
  EXPECT_EQ((*jobs)[0].comment, "atelier:s/a/1");
  EXPECT_EQ((*jobs)[1].reason, "ReqNodeNotAvail, UnavailableNodes:n2");
  EXPECT_EQ((*jobs)[1].comment, " a comment | with bars");
  EXPECT_THAT(*ParseList(""), SizeIs(0));
}

TEST(SlurmTextTest, WhatIsNoListIsNoEmptyList) {
  for (const char* output : {"hello\n", "12|RUNNING|None|n1\n", "x|RUNNING|None|n1|c\n", "\xff\n",
                             "12|RUNNING|None|n1|c\n13|PEND", "slurm_load_jobs error\n"}) {
    EXPECT_EQ(ParseList(output).status().code(), absl::StatusCode::kDataLoss) << output;
  }
  EXPECT_THAT(std::string(ParseList("hello\n").status().message()), HasSubstr("hello"));
}

TEST(SlurmTextTest, KnowsEveryState) {
  EXPECT_EQ(StageOf("PENDING"), Stage::kPending);
  EXPECT_EQ(StageOf("SUSPENDED"), Stage::kPending);
  EXPECT_EQ(StageOf("RUNNING"), Stage::kRunning);
  EXPECT_EQ(StageOf("COMPLETING"), Stage::kRunning);
  for (const char* state : {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED",
                            "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}) {
    EXPECT_EQ(StageOf(state), Stage::kEnded) << state;
  }
  EXPECT_FALSE(StageOf("NEVER_HEARD_OF").has_value());
}

TEST(SlurmTextTest, ReadsHowAJobEnded) {
  const auto failed = ParseDetails(
      "JobId=12 JobName=atelier-a-1 UserId=root(0) JobState=FAILED Reason=NonZeroExitCode "
      "Dependency=(null) ExitCode=7:0 ReqNodeList=(null) NodeList=n2 BatchHost=n2 Comment=x\n");
  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(failed->state, "FAILED");
  EXPECT_EQ(failed->exit_code, 7);
  EXPECT_EQ(failed->signal, 0);
  EXPECT_EQ(failed->nodes, "n2");
  EXPECT_EQ(ParseDetails("JobState=FAILED ExitCode=0:9 NodeList=(null)\n")->signal, 9);
  EXPECT_EQ(ParseDetails("JobState=FAILED ExitCode=0:9 NodeList=(null)\n")->nodes, "");
  for (const char* output : {"", "nonsense", "JobState=FAILED", "JobState=FAILED ExitCode=x:y"}) {
    EXPECT_EQ(ParseDetails(output).status().code(), absl::StatusCode::kDataLoss) << output;
  }
}

TEST(SlurmTextTest, ReadsTheIdOfASubmittedJob) {
  EXPECT_EQ(*ParseSubmitted("12\n"), "12");
  EXPECT_EQ(*ParseSubmitted("12;cluster\n"), "12");
  for (const char* output : {"", "Submitted batch job 12\n", "-1\n", "123456789012345678901\n"}) {
    EXPECT_FALSE(ParseSubmitted(output).ok()) << output;
  }
}

TEST(SlurmTextTest, TellsRefusalsFromTroubleThatPasses) {
  EXPECT_TRUE(
      RefusesForGood("sbatch: error: Batch job submission failed: Requested node "
                     "configuration is not available"));
  EXPECT_TRUE(RefusesForGood("sbatch: error: invalid partition specified: nowhere"));
  EXPECT_TRUE(RefusesForGood("sbatch: unrecognized option '--nonsense'"));
  EXPECT_FALSE(RefusesForGood(
      "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect "
      "failure)"));
  EXPECT_FALSE(
      RefusesForGood("sbatch: error: Batch job submission failed: Job violates "
                     "accounting/QOS policy (job submit limit, user's size and/or time "
                     "limits)"));
  EXPECT_FALSE(RefusesForGood(""));
  EXPECT_TRUE(NeverRuns("PartitionConfig"));
  EXPECT_FALSE(NeverRuns("Priority"));
  EXPECT_FALSE(NeverRuns("ReqNodeNotAvail, UnavailableNodes:n1"));
}

TEST(SlurmTextTest, QuotesAComplaintShortly) {
  EXPECT_EQ(Complaint("sbatch: warning: x\nsbatch: error: invalid partition\n\n"),
            "invalid partition");
  EXPECT_EQ(Complaint("sbatch: unrecognized option '--x'\nTry \"sbatch --help\" for more\n"),
            "unrecognized option '--x'");
  EXPECT_EQ(Complaint("\x1b[31mred\n"), "?[31mred");
  EXPECT_EQ(Complaint(""), "it said nothing");
  EXPECT_LE(Complaint(std::string(10'000, 'x')).size(), 300u);
}

TEST(SlurmTextTest, ListsOfNodesAreReadAsSlurmWritesThem) {
  EXPECT_THAT(NodesOf("n2"), ElementsAre("n2"));
  EXPECT_THAT(NodesOf("n1,m[08-10,12],k"), ElementsAre("n1", "m08", "m09", "m10", "m12", "k"));
  EXPECT_THAT(NodesOf(""), IsEmpty());
  EXPECT_THAT(NodesOf("n[1-"), ElementsAre("n[1-"));
  EXPECT_THAT(NodesOf("r[1-2]n[1-3],k"), ElementsAre("r[1-2]n[1-3],k"));
  EXPECT_THAT(NodesOf("n[a-b]"), ElementsAre("na-b"));
  EXPECT_EQ(NodesOf("n[0-4294967295]").size(), 64u);
  EXPECT_EQ(NodesOf("n[1,2,3]," + std::string(200, ',')).size(), 64u);
}

TEST(SlurmTextTest, ScriptBecomesTheProgramWhateverItsArguments) {
  EXPECT_EQ(BatchScript({"/opt/a b/worker", "--x=it's", "$(rm)"}),
            "#!/bin/sh\nexec '/opt/a b/worker' '--x=it'\\''s' '$(rm)'\n");
  EXPECT_EQ(OutputPattern("/data/100%j/x"), "/data/100%%j/x");
}

TEST(SlurmTextTest, ArgumentsAreNamedAndNotTheServersOwn) {
  EXPECT_EQ(ArgumentProblem("--time=2:00:00"), "");
  EXPECT_EQ(ArgumentProblem("--exclusive"), "");
  EXPECT_EQ(ArgumentProblem("--nodelist=n[1-2]"), "");
  for (const char* argument : {"-p", "script.sh", "--", "--=x", "", "---x", "--Time=1"}) {
    EXPECT_THAT(ArgumentProblem(argument), HasSubstr("is not --NAME")) << argument;
  }
  EXPECT_THAT(ArgumentProblem("--wrap=rm"), HasSubstr("--wrap is given by the server"));
  EXPECT_THAT(ArgumentProblem("--comm=x"), HasSubstr("--comment is given by the server"));
  EXPECT_THAT(ArgumentProblem("--nodes=3"), HasSubstr("--nodes is given by the server"));
  EXPECT_THAT(ArgumentProblem("--ntasks-per-node=2"), HasSubstr("--ntasks-per-node is given"));
  EXPECT_THAT(ArgumentProblem("--requeue"), HasSubstr("--requeue"));
  EXPECT_THAT(ArgumentProblem("--time=\n"), HasSubstr("printable"));
  EXPECT_THAT(ArgumentProblem("--time=" + std::string(300, '1')), HasSubstr("characters"));
  EXPECT_THAT(SplitArguments(" --a=1\t--b\n"), ElementsAre("--a=1", "--b"));
}

}  // namespace
}  // namespace atelier::slurm
