// Stopping a job that runs, in every state.
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ControllerStopTest = ControllerTest;
using worker::v1::PHASE_EVALUATING;
using worker::v1::PHASE_PREPARING;
using worker::v1::PHASE_STORING;

TEST_F(ControllerStopTest, StopBeforeTheFirstEpochEndsWithNothing) {
  const std::string id = Train();
  EXPECT_EQ(controller_->Stop(id)->state(), v1::JOB_STATE_STOPPING);
  EXPECT_TRUE(link_->stopped());
  ASSERT_TRUE(Report(id, {StoppedEmpty()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_FALSE(Get(id).has_result());
  EXPECT_EQ(Get(id).attempts(0).end_reason(), "STOP_REQUESTED");
}

TEST_F(ControllerStopTest, StopAfterAnEpochKeepsTheModelButNotAsLatest) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(Report(id, {Phase(PHASE_EVALUATING), Phase(PHASE_STORING)}).ok());
  EXPECT_EQ(State(id), "STOPPING");
  ASSERT_TRUE(Report(id, {Outcome(/*stopped_early=*/true)}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(Get(id).result().stopped_early());
  EXPECT_EQ(Get(id).result().model_version(), "models/cnn-3/versions/1");
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("cnn-3", "latest").status()), "NO_LATEST_VERSION");
  EXPECT_TRUE(store_->ResolveVersion("cnn-3", "1").ok());
}

TEST_F(ControllerStopTest, StopReachesAWorkerThatAttachesLater) {
  const std::string id = Start();
  controller_->Tick();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(State(id), "STOPPING");
  EXPECT_TRUE(Attach(id).stop);
  ASSERT_TRUE(Report(id, {StoppedEmpty()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
}

TEST_F(ControllerStopTest, WorkerThatDoesNotObeyAStopIsKilled) {
  const std::string id = Train();
  ASSERT_TRUE(controller_->Stop(id).ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(controller_->Heartbeat(id, 1).ok());
    Pass(options_.stop_timeout / 3);
  }
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(State(id), "STOPPED");
}

TEST_F(ControllerStopTest, WorkerThatEvaluatesAfterAStopHasItsTime) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(Report(id, {Phase(PHASE_EVALUATING)}).ok());
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(controller_->Heartbeat(id, 1).ok());
    Pass(options_.stop_timeout / 3);
  }
  EXPECT_EQ(State(id), "STOPPING");
}

TEST_F(ControllerStopTest, StoppingJobWithEpochsWhoseWorkerIsLostIsEvaluatedByAnother) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Checkpoint(1, 422)}).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  executor_.Exit("process-1", "killed by signal 11");
  EXPECT_EQ(State(id), "STOPPING");
  controller_->Tick();
  EXPECT_EQ(State(id), "STOPPING");
  EXPECT_EQ(AttemptOf(id), 2);
  EXPECT_TRUE(Attach(id).stop);
  ASSERT_TRUE(Report(id, {Phase(PHASE_PREPARING), Resumed(1, 0, 422), Phase(PHASE_EVALUATING),
                          Outcome(true)})
                  .ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(Get(id).has_result());
}

TEST_F(ControllerStopTest, QueuedJobWithEpochsIsEvaluatedWhenStopped) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  ASSERT_EQ(State(id), "QUEUED");
  EXPECT_EQ(controller_->Stop(id)->state(), v1::JOB_STATE_STOPPING);
  controller_->Tick();
  EXPECT_TRUE(Attach(id).stop);
}

TEST_F(ControllerStopTest, StopDuringEvaluationEndsStoppedWithTheWholeModel) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Phase(PHASE_EVALUATING)}).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(Report(id, {Phase(PHASE_STORING), Outcome()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(store_->ResolveVersion("cnn-3", "latest").ok());
}

TEST_F(ControllerStopTest, StopWhileTheOutcomeIsStoredEndsStoppedWithTheModel) {
  const std::string id = Train();
  artifacts_.OnPublish([&] { return controller_->Stop(id).status(); });
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_TRUE(store_->ResolveVersion("cnn-3", "latest").ok());
}

}  // namespace
}  // namespace atelier::jobs
