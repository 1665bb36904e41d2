// Workers that cannot be started, that end as they start, or that nobody watches; memory.
#include "gmock/gmock.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ::testing::HasSubstr;

class ControllerStartsTest : public ControllerTest {
 protected:
  // The pause until the next try.
  absl::Duration FailLaunch() {
    executor_.FailNextLaunch(absl::UnavailableError("no more processes"));
    const absl::Duration pause = controller_->Tick();
    clock_.Advance(pause);
    return pause;
  }
};

TEST_F(ControllerStartsTest, LaunchThatFailsIsNoAttempt) {
  const std::string id = Start();
  for (int i = 0; i < 10; ++i) FailLaunch();
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(AttemptOf(id), 0);
  EXPECT_EQ(Get(id).transitions_size(), 1);
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
  controller_->Tick();
  EXPECT_EQ(State(id), "STARTING");
  EXPECT_EQ(AttemptOf(id), 1);
}

TEST_F(ControllerStartsTest, PausesBetweenLaunchesGrowToALimit) {
  Start();
  EXPECT_EQ(FailLaunch(), absl::Seconds(1));
  EXPECT_EQ(FailLaunch(), absl::Seconds(2));
  EXPECT_EQ(FailLaunch(), absl::Seconds(4));
  for (int i = 0; i < 5; ++i) FailLaunch();
  EXPECT_EQ(FailLaunch(), options_.max_retry_delay);
}

TEST_F(ControllerStartsTest, QueueIsKeptWhileNothingCanBeStarted) {
  const std::string first = Start();
  const std::string second = Start();
  for (int i = 0; i < 10; ++i) FailLaunch();
  EXPECT_EQ(Get(first).queue_position(), 0);
  EXPECT_EQ(Get(second).queue_position(), 1);
  EXPECT_EQ(controller_->Load().queued, 2u);
  EXPECT_EQ(controller_->Load().free_cores, 2);
}

TEST_F(ControllerStartsTest, JobSaysWhyItWasNotStarted) {
  const std::string id = Start();
  const std::string behind = Start();
  EXPECT_EQ(Get(id).waiting_reason(), "");
  FailLaunch();
  EXPECT_THAT(Get(id).waiting_reason(), HasSubstr("no more processes"));
  EXPECT_EQ(Get(behind).waiting_reason(), "");
  controller_->Tick();
  EXPECT_EQ(Get(id).waiting_reason(), "");
}

TEST_F(ControllerStartsTest, JobCanBeStoppedWhileItsLaunchFails) {
  const std::string id = Start();
  FailLaunch();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(State(id), "STOPPED");
  Pass(options_.max_retry_delay);
  EXPECT_TRUE(executor_.launches().empty());
}

TEST_F(ControllerStartsTest, ProcessOfAJobStoppedDuringItsLaunchIsEnded) {
  const std::string id = Start();
  executor_.DuringNextLaunch([&] { EXPECT_TRUE(controller_->Stop(id).ok()); });
  controller_->Tick();
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(controller_->Load().free_cores, 0);
  executor_.Exit("process-1", "killed by signal 9");
  EXPECT_EQ(controller_->Load().free_cores, 2);
}

TEST_F(ControllerStartsTest, ProcessThatCannotBeStoredIsEndedAndStartedAgain) {
  const std::string id = Start();
  executor_.DuringNextLaunch([&] { disk_->set_full(true); });
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 0);
  EXPECT_TRUE(executor_.killed("process-1"));
  executor_.Exit("process-1", "killed by signal 9");
  disk_->set_full(false);
  Pass(options_.retry_delay);
  EXPECT_EQ(State(id), "STARTING");
  EXPECT_EQ(AttemptOf(id), 1);
}

TEST_F(ControllerStartsTest, WorkerThatDialsBeforeItsAttemptIsStoredDialsAgain) {
  const std::string id = Start();
  absl::Status early;
  executor_.DuringNextLaunch([&] {
    worker::v1::Hello hello = Hello(id);
    hello.set_attempt(1);
    early = controller_->Attach(hello, std::make_shared<FakeLink>()).status();
  });
  controller_->Tick();
  EXPECT_EQ(early.code(), absl::StatusCode::kUnavailable);
  Attach(id);
}

// The server dies between the launch and the commit that stores it.
TEST_F(ControllerStartsTest, WorkerThatTheLastServerDidNotStoreIsFoundAndEnded) {
  const std::string id = Start();
  executor_.DuringNextLaunch([&] { disk_->set_full(true); });
  controller_->Tick();
  ASSERT_EQ(HandleOf(id), "");
  Boot();
  EXPECT_TRUE(executor_.killed("process-1"));
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 1u);  // It holds its cores until it is gone.
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 2u);
  EXPECT_EQ(AttemptOf(id), 1);
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

TEST_F(ControllerStartsTest, WorkerThatTheLastServerGaveUpAndDidNotEndIsEnded) {
  const std::string id = Train();
  Pass(options_.lease);
  ASSERT_EQ(Reason(id), "WORKER_LOST");
  executor_.Forget("process-1");  // The server was killed before it killed the process.
  Boot();
  EXPECT_TRUE(executor_.killed("process-1"));
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 1);
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerStartsTest, WorkerThatEndsAsItStartsHoldsUpTheNext) {
  const std::string id = Start();
  controller_->Tick();
  executor_.Exit("process-1", "exited with code 127");
  EXPECT_EQ(controller_->Tick(), absl::Seconds(1));
  EXPECT_THAT(Get(id).waiting_reason(), HasSubstr("code 127"));
  EXPECT_EQ(executor_.launches().size(), 1u);
  Pass(absl::Seconds(1));
  executor_.Exit("process-2", "exited with code 127");
  EXPECT_EQ(controller_->Tick(), absl::Seconds(2));
}

TEST_F(ControllerStartsTest, WorkerLostWhileItTrainsIsReplacedAtOnce) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 1)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerStartsTest, ACheckpointIsPromisedOnlyWhereThereIsOne) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 1)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  EXPECT_THAT(Message(id), HasSubstr("starts again"));
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(Report(id, {Step(1, 1), Epoch(1), Checkpoint(1, 422)}).ok());
  executor_.Exit("process-2", "killed by signal 9");
  EXPECT_THAT(Message(id), HasSubstr("continues from its last checkpoint"));
}

TEST_F(ControllerStartsTest, SuspendedJobWithoutACheckpointBeginsAnew) {
  const std::string id = Train();
  controller_->BeginShutdown();
  ASSERT_TRUE(Report(id, {Suspended()}).ok());
  EXPECT_THAT(Message(id), HasSubstr("starts again"));
}

TEST_F(ControllerStartsTest, WorkerEndedForWantOfMemoryIsNotReplaced) {
  const std::string id = Train();
  executor_.Exit("process-1", "ended by the kernel", ProcessEnd::Cause::kOutOfMemory);
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "OUT_OF_MEMORY");
  EXPECT_THAT(Message(id), HasSubstr("2048 MiB"));
}

TEST_F(ControllerStartsTest, WorkerThatFoundNoServerIsNotLost) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Checkpoint(1, 422)}).ok());
  executor_.Exit("process-1", "exited with code 4", ProcessEnd::Cause::kServerUnreachable);
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "SERVER_UNREACHABLE");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

TEST_F(ControllerStartsTest, WorkerThatNeverReachedTheServerIsLost) {
  const std::string id = Start();
  controller_->Tick();
  executor_.Exit("process-1", "exited with code 4", ProcessEnd::Cause::kServerUnreachable);
  EXPECT_EQ(Reason(id), "WORKER_LOST");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 1);
}

TEST_F(ControllerStartsTest, EarlierCheckpointsGoOnceThereIsANewOne) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Checkpoint(1, 422)}).ok());
  controller_->Tick();
  EXPECT_FALSE(artifacts_.Did(absl::StrCat("free ", id, " before 1")));
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did(absl::StrCat("make ", id, "/2")));
  Attach(id);
  ASSERT_TRUE(Report(id, {Resumed(1, 0, 422), Epoch(2)}).ok());
  controller_->Tick();
  EXPECT_FALSE(artifacts_.Did(absl::StrCat("free ", id, " before 2")));
  ASSERT_TRUE(Report(id, {Checkpoint(2, 844)}).ok());
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did(absl::StrCat("free ", id, " before 2")));
}

TEST_F(ControllerStartsTest, JobWaitsForMemoryAndSaysSo) {
  options_.total_memory_bytes = std::int64_t{3} << 30;
  Boot();
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_cores(1);
  const std::string first = Train(request);
  const std::string second = Start(request);
  controller_->Tick();
  EXPECT_EQ(State(second), "QUEUED");
  EXPECT_EQ(Get(second).waiting_reason(),
            "It needs 2048 MiB of memory; of the 3072 MiB for jobs 1024 MiB are free.");
  ASSERT_TRUE(Report(first, {Outcome()}).ok());
  controller_->Tick();
  EXPECT_EQ(State(second), "QUEUED");  // Until the process is gone.
  executor_.Exit("process-1", "exited with code 0");
  controller_->Tick();
  EXPECT_EQ(State(second), "STARTING");
}

using ControllerStallTest = ControllerStartsTest;

TEST_F(ControllerStallTest, ServerThatWasStoppedGivesNobodyUp) {
  const std::string id = Train();
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Seconds(1));
    clock_.Advance(3 * options_.lease);
    controller_->Tick();
    EXPECT_EQ(State(id), "TRAINING");
  }
  EXPECT_FALSE(executor_.killed("process-1"));
  // What was left of the lease is left still: each stall begins a second after a tick was due.
  Pass(options_.lease - absl::Seconds(7));
  EXPECT_EQ(State(id), "TRAINING");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Reason(id), "WORKER_LOST");
}

TEST_F(ControllerStallTest, StallWithinATickCountsToo) {
  v1::StartTrainingRequest one = Request();
  one.mutable_spec()->set_cores(1);
  const std::string id = Train(one);
  Start(one);
  executor_.DuringNextLaunch([&] { clock_.Advance(2 * options_.lease); });
  controller_->Tick();
  ASSERT_EQ(executor_.launches().size(), 2u);
  controller_->Tick();
  EXPECT_EQ(State(id), "TRAINING");
}

TEST_F(ControllerStallTest, ProcessThatIsLeavingKeepsItsTime) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  controller_->Tick();
  clock_.Advance(absl::Hours(1));
  controller_->Tick();
  EXPECT_FALSE(executor_.killed("process-1"));
  Pass(options_.exit_timeout);
  EXPECT_TRUE(executor_.killed("process-1"));
}

}  // namespace
}  // namespace atelier::jobs
