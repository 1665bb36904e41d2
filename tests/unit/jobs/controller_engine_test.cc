// Workers that an engine with a queue of its own runs when it finds a place for them.
#include "gmock/gmock.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ::testing::HasSubstr;

class ControllerEngineTest : public ControllerTest {
 protected:
  ControllerEngineTest() {
    executor_.LaunchAs(LaunchPending{"Slurm job 12 waits: Priority"});
    options_.total_cores = 0;
    options_.max_attempts = 2;
    Boot();
  }

  // A job that the engine has, but does not run.
  std::string Submit() {
    const std::string id = Start();
    controller_->Tick();
    EXPECT_EQ(State(id), "STARTING");
    return id;
  }
};

TEST_F(ControllerEngineTest, PendingJobSaysWhatItWaitsFor) {
  const std::string id = Submit();
  EXPECT_THAT(Message(id), HasSubstr("waits for 2 cores: Slurm job 12 waits: Priority"));
  EXPECT_EQ(Get(id).waiting_reason(), "It waits: Slurm job 12 waits: Priority.");
  executor_.Tell("process-1", LaunchPending{"Slurm job 12 waits: Resources"});
  EXPECT_EQ(Get(id).waiting_reason(), "It waits: Slurm job 12 waits: Resources.");
  EXPECT_EQ(controller_->List({})->jobs(0).waiting_reason(), Get(id).waiting_reason());
  executor_.Tell("process-1", LaunchRunning{"node n2"});
  EXPECT_EQ(Get(id).waiting_reason(), "");
  EXPECT_EQ(Get(id).attempts(0).place(), "node n2");
  EXPECT_EQ(store_->Load(id)->job.attempts(0).place(), "node n2");
}

TEST_F(ControllerEngineTest, ReadersAreToldWhatAJobWaitsForAsItChanges) {
  const std::string id = Submit();
  const auto page = events_->Read(id, 0, 0, false);
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->note, HasSubstr("Priority"));
  int woken = 0;
  const auto subscribe = [&](std::int64_t note) {
    return events_
        ->Subscribe(
            id, page->position, [&] { ++woken; }, note)
        .has_value();
  };
  EXPECT_FALSE(subscribe(page->note_number - 1));
  ASSERT_TRUE(subscribe(page->note_number));
  executor_.Tell("process-1", LaunchPending{"Slurm job 12 waits: Priority"});
  EXPECT_EQ(woken, 0) << "nothing has changed";
  executor_.Tell("process-1", LaunchPending{"Slurm job 12 waits: Resources"});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(events_->Read(id, page->position, 0, false)->events.size(), 0u);
}

TEST_F(ControllerEngineTest, TimeToAttachBeginsWhenTheProcessRuns) {
  const std::string id = Submit();
  Pass(absl::Hours(30));
  EXPECT_EQ(State(id), "STARTING");
  executor_.Tell("process-1", LaunchRunning{"node n1"});
  Pass(options_.attach_timeout - absl::Seconds(1));
  EXPECT_EQ(State(id), "STARTING");
  Pass(absl::Seconds(1));
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "WORKER_LOST");
}

TEST_F(ControllerEngineTest, WorkerThatAttachesRunsWhateverTheEngineSays) {
  const std::string id = Submit();
  Attach(id);
  EXPECT_EQ(Get(id).waiting_reason(), "");
  Pass(options_.lease);
  EXPECT_EQ(State(id), "QUEUED") << "its lease has run";
}

// An engine that is asked once in a while says of a worker that it waits when it has come and gone.
TEST_F(ControllerEngineTest, WhatAnEngineSaysOfBeforeItsWorkerAttachedHoldsNoLease) {
  const std::string id = Submit();
  Attach(id);
  executor_.Tell("process-1", LaunchPending{"Kubernetes job 12 waits: ContainerCreating"});
  EXPECT_EQ(Get(id).waiting_reason(), "");
  Pass(options_.lease);
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "WORKER_LOST");
}

TEST_F(ControllerEngineTest, LeaseRestsWhileTheEngineHoldsTheProcess) {
  const std::string id = Submit();
  Attach(id);
  executor_.Tell("process-1", LaunchRunning{"node n1"});
  executor_.Tell("process-1", LaunchPending{"Slurm has suspended job 12"});
  Pass(absl::Hours(1));
  EXPECT_EQ(State(id), "STARTING");
  executor_.Tell("process-1", LaunchRunning{"node n1"});
  ASSERT_TRUE(Report(id, {Phase(worker::v1::PHASE_PREPARING)}).ok());
  EXPECT_EQ(State(id), "PREPARING");
}

TEST_F(ControllerEngineTest, ItTakesAsManyJobsAsItMayWhateverTheirCores) {
  auto request = Request();
  request.mutable_spec()->set_cores(2);
  const std::string first = Start(request);
  const std::string second = Start(request);
  const std::string third = Start(request);
  controller_->Tick();
  EXPECT_EQ(State(first), "STARTING");
  EXPECT_EQ(State(second), "STARTING");
  EXPECT_EQ(State(third), "QUEUED");
  EXPECT_EQ(executor_.launches()[1].resources.cores, 2);
  executor_.Exit("process-1", "cancelled");
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 2u) << "a job that was lost at once pauses";
}

TEST_F(ControllerEngineTest, PreemptedJobGoesOnAndLosesNothing) {
  const std::string id = Train();
  for (int attempt = 1; attempt <= 5; ++attempt) {
    executor_.Exit(absl::StrCat("process-", attempt), "PREEMPTED on node n1",
                   ProcessEnd::Cause::kPreempted);
    EXPECT_EQ(State(id), "QUEUED");
    EXPECT_EQ(Reason(id), "PREEMPTED");
    EXPECT_THAT(Message(id), HasSubstr("PREEMPTED on node n1"));
    Pass(absl::Minutes(2));
    EXPECT_EQ(AttemptOf(id), attempt + 1);
  }
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

TEST_F(ControllerEngineTest, WorkerThatWasAskedToEndIsNoSignOfAStoppingServer) {
  const std::string id = Train();
  worker::v1::WorkerEvent suspended;
  suspended.mutable_suspended();
  ASSERT_TRUE(Report(id, {suspended}).ok());
  EXPECT_EQ(Reason(id), "SUSPENDED");
  EXPECT_EQ(State(id), "QUEUED");
}

TEST_F(ControllerEngineTest, WhatWillNeverRunFailsWithTheEnginesReason) {
  const std::string id = Submit();
  executor_.Exit("process-1", "Slurm cannot place it: PartitionConfig",
                 ProcessEnd::Cause::kRefused);
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "REFUSED");
  EXPECT_THAT(Message(id), HasSubstr("PartitionConfig"));
}

TEST_F(ControllerEngineTest, LaunchThatIsRefusedFailsTheJobAtOnce) {
  executor_.FailNextLaunch(absl::InvalidArgumentError("Slurm refused it: invalid partition."));
  const std::string id = Start();
  controller_->Tick();
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "REFUSED");
  EXPECT_THAT(Message(id), HasSubstr("invalid partition"));
  EXPECT_EQ(AttemptOf(id), 0);
  EXPECT_EQ(controller_->Load().running, 0u);
}

TEST_F(ControllerEngineTest, ArgumentsAndGpuReachTheExecutor) {
  auto request = Request();
  request.mutable_spec()->set_slurm_args("--time=5 --qos=high");
  Start(request);
  controller_->Tick();
  const LaunchRequest launch = executor_.launches().at(0);
  EXPECT_EQ(launch.arguments, (std::vector<std::string>{"--time=5", "--qos=high"}));
  EXPECT_EQ(launch.resources.gpus, 0);
}

TEST_F(ControllerEngineTest, StoppingAPendingJobEndsItAtOnce) {
  const std::string id = Submit();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(executor_.killed("process-1"));
}

TEST_F(ControllerEngineTest, StoppingAPendingJobThatHasAModelWaitsForItsWorker) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Checkpoint(1, 10)}).ok());
  executor_.Exit("process-1", "PREEMPTED", ProcessEnd::Cause::kPreempted);
  Pass(absl::Seconds(1));
  ASSERT_EQ(AttemptOf(id), 2);
  ASSERT_TRUE(controller_->Stop(id).ok());
  Pass(absl::Hours(1));
  EXPECT_EQ(State(id), "STOPPING");
  executor_.Tell("process-2", LaunchRunning{"node n1"});
  EXPECT_TRUE(Attach(id).stop);
}

TEST_F(ControllerEngineTest, PendingJobKeepsItsPlaceOverAStopOfTheServer) {
  const std::string id = Submit();
  controller_->BeginShutdown();
  EXPECT_TRUE(controller_->AllSuspended());
  controller_->KillRemaining();
  EXPECT_FALSE(executor_.killed("process-1"));
  Boot();
  EXPECT_EQ(State(id), "STARTING");
  EXPECT_THAT(Get(id).waiting_reason(), HasSubstr("Priority"));
  Pass(absl::Hours(1));
  EXPECT_EQ(AttemptOf(id), 1);
  Attach(id);
}

TEST_F(ControllerEngineTest, WhatWasToldBeforeTheLaunchReturnedCounts) {
  executor_.DuringNextLaunch([&] { executor_.Tell("process-1", LaunchRunning{"node n2"}); });
  const std::string id = Submit();
  EXPECT_EQ(Get(id).waiting_reason(), "");
  EXPECT_EQ(Get(id).attempts(0).place(), "node n2");
  Pass(options_.attach_timeout);
  EXPECT_EQ(State(id), "QUEUED");
}

TEST_F(ControllerEngineTest, EndThatTheEngineRemembersIsTheAttemptsEnd) {
  const std::string id = Train();
  executor_.EndUnseen("process-1", {.how = "PREEMPTED", .cause = ProcessEnd::Cause::kPreempted});
  Boot();
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "PREEMPTED");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

TEST_F(ControllerEngineTest, ExecutorLearnsWhenEverythingIsAdopted) {
  const int before = executor_.recoveries();
  Boot();
  EXPECT_EQ(executor_.recoveries(), before + 1);
}

}  // namespace
}  // namespace atelier::jobs
