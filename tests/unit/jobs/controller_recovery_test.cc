// Rewinding, restarts of the server, and graceful shutdown.
#include "server/jobs/attempt.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ControllerRewindTest = ControllerTest;
using ControllerRestartTest = ControllerTest;
using ControllerShutdownTest = ControllerTest;
using worker::v1::PHASE_PREPARING;
using worker::v1::PHASE_STORING;
using worker::v1::PHASE_TRAINING;

// What a reader sees of the events, one word each.
std::vector<std::string> Words(const std::vector<v1::JobEvent>& events) {
  std::vector<std::string> words;
  for (const v1::JobEvent& event : events) {
    if (event.has_step()) {
      words.push_back(absl::StrCat("step ", event.step().epoch(), ".", event.step().step()));
    } else if (event.has_epoch()) {
      words.push_back(absl::StrCat("epoch ", event.epoch().epoch()));
    } else if (event.has_checkpoint()) {
      words.push_back(absl::StrCat("checkpoint ", event.checkpoint().epoch()));
    } else if (event.has_rewound()) {
      words.push_back(absl::StrCat("rewound ", event.rewound().first_withdrawn()));
    } else if (event.has_resources()) {
      words.push_back("resources");
    }
  }
  return words;
}

TEST_F(ControllerRewindTest, ProgressBeyondTheCheckpointIsWithdrawn) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 400), Epoch(1), Checkpoint(1, 422), Step(2, 5), Resources(),
                          Epoch(2), Step(3, 9)})
                  .ok());
  const auto before = Replay(id);
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(
      Report(id, {Phase(PHASE_PREPARING), Resumed(1, 0, 422), Phase(PHASE_TRAINING), Step(2, 7)})
          .ok());

  const std::int64_t first = 8;  // Step 2.5: four transitions and three events come before it.
  EXPECT_EQ(Words(Replay(id)),
            (std::vector<std::string>{"step 1.400", "epoch 1", "checkpoint 1", "resources",
                                      absl::StrCat("rewound ", first), "step 2.7"}));
  EXPECT_EQ(Get(id).progress().epoch(), 2);
  EXPECT_EQ(Get(id).progress().step(), 7);
  EXPECT_EQ(Get(id).attempts(1).resumed_epoch(), 1);
  EXPECT_EQ(Attach(id).assignment.recorded_epoch(), 1);
  // Someone who saw everything is told what no longer counts, under higher numbers.
  EXPECT_EQ(Words(Replay(id, before.back().number())),
            (std::vector<std::string>{absl::StrCat("rewound ", first), "step 2.7"}));
  // The store shows the same as the memory did.
  Boot();
  EXPECT_EQ(Words(Replay(id)),
            (std::vector<std::string>{"step 1.400", "epoch 1", "checkpoint 1", "resources",
                                      absl::StrCat("rewound ", first), "step 2.7"}));
}

TEST_F(ControllerRewindTest, NothingIsWithdrawnWhenTheCheckpointIsAhead) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 400), Epoch(1)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  // The server missed epoch 2; the worker sends it from the checkpoint's history, and epoch 1,
  // which the server has, changes nothing.
  ASSERT_TRUE(Report(id, {Resumed(2, 0, 844), Epoch(1), Epoch(2), Step(3, 1)}).ok());
  EXPECT_EQ(Words(Replay(id)),
            (std::vector<std::string>{"step 1.400", "epoch 1", "epoch 2", "step 3.1"}));
  EXPECT_EQ(Attach(id).assignment.recorded_epoch(), 2);
}

TEST_F(ControllerRewindTest, CheckpointWithinAnEpochKeepsTheStepsBeforeIt) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 100), Step(1, 200), Step(1, 300)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(Report(id, {Resumed(0, 200, 200)}).ok());
  EXPECT_EQ(Words(Replay(id)), (std::vector<std::string>{"step 1.100", "step 1.200", "rewound 7"}));
  EXPECT_EQ(Get(id).progress().step(), 200);
}

TEST_F(ControllerRewindTest, AttemptThatBeginsAfreshWithdrawsEverything) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 100), Epoch(1)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(Report(id, {Step(1, 3)}).ok());
  EXPECT_EQ(Words(Replay(id)), (std::vector<std::string>{"rewound 5", "step 1.3"}));
  EXPECT_EQ(Attach(id).assignment.recorded_epoch(), 0);
}

TEST_F(ControllerRewindTest, RewindingTwiceWithdrawsOnlyWhatStillCounts) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Epoch(2), Epoch(3)}).ok());
  for (int epoch = 2; epoch >= 1; --epoch) {
    executor_.Exit(HandleOf(id), "killed by signal 9");
    controller_->Tick();
    Attach(id);
    ASSERT_TRUE(Report(id, {Resumed(epoch, 0, epoch * 422)}).ok());
  }
  EXPECT_EQ(Words(Replay(id)), (std::vector<std::string>{"epoch 1", "rewound 7", "rewound 6"}));
}

TEST_F(ControllerRewindTest, OthersAreServedWhileAHistoryIsRead) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Epoch(2)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  std::string other;
  disk_->DuringNextRead([&] { other = Start(); });  // Would wait for ever for the lock.
  ASSERT_TRUE(Report(id, {Resumed(1, 0, 422)}).ok());
  EXPECT_EQ(State(other), "QUEUED");
  EXPECT_EQ(Words(Replay(id)), (std::vector<std::string>{"epoch 1", "rewound 6"}));
}

TEST_F(ControllerRewindTest, AnAttemptThatEndsWhileItsHistoryIsReadStoresNothing) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Epoch(2)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  Attach(id);
  disk_->DuringNextRead([&] { executor_.Exit("process-2", "killed by signal 9"); });
  EXPECT_EQ(ReasonOf(Report(id, {Resumed(1, 0, 422)}).status()), "ATTEMPT_NOT_WANTED");
  EXPECT_EQ(Words(Replay(id)), (std::vector<std::string>{"epoch 1", "epoch 2"}));
}

TEST_F(ControllerRewindTest, AStartingPointAfterProgressIsAViolation) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 1)}).ok());
  EXPECT_EQ(ReasonOf(Report(id, {Resumed(1, 0, 422)}).status()), "PROTOCOL_VIOLATION");
}

TEST_F(ControllerRestartTest, RunningWorkerAttachesToTheNextServer) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  const worker::v1::Hello hello = Hello(id);
  Boot();
  EXPECT_EQ(State(id), "TRAINING");
  EXPECT_EQ(controller_->Load().free_cores, 0);
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 1);
  EXPECT_EQ(Attach(id).assignment.acknowledged(), 3);
  EXPECT_EQ(*Report(id, {Epoch(2)}), 4);
  executor_.Exit("process-1", "killed by signal 9");  // Adopted, so its end is noticed.
  EXPECT_EQ(Reason(id), "WORKER_LOST");
}

TEST_F(ControllerRestartTest, AdoptedWorkerHasAFreshLease) {
  const std::string id = Train();
  clock_.Advance(absl::Hours(1));
  Boot();
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 1);
  Pass(options_.lease);
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(Reason(id), "WORKER_LOST");
}

TEST_F(ControllerRestartTest, ProcessGoneMeanwhileIsALostAttempt) {
  const std::string id = Train();
  executor_.ExitUnseen("process-1");
  Boot();
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "WORKER_LOST");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 1);
  Pass(options_.retry_delay);
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerRestartTest, QueueKeepsItsOrder) {
  const std::string first = Start();
  v1::StartTrainingRequest urgent = Request();
  urgent.mutable_spec()->set_priority(1);
  const std::string second = Start(urgent);
  const std::string third = Start();
  Boot();
  EXPECT_EQ(Get(second).queue_position(), 0);
  EXPECT_EQ(Get(first).queue_position(), 1);
  EXPECT_EQ(Get(third).queue_position(), 2);
}

TEST_F(ControllerRestartTest, JobThatWantsMoreCoresThanThereAreNowGetsAll) {
  const std::string id = Start();
  options_.total_cores = 1;
  Boot();
  controller_->Tick();
  EXPECT_EQ(State(id), "STARTING");
  EXPECT_EQ(executor_.launches()[0].resources.cores, 1);
  EXPECT_EQ(Get(id).attempts(0).cores(), 1);
  EXPECT_EQ(Get(id).spec().cores(), 2);
}

TEST_F(ControllerRestartTest, OutcomeDeliveredAgainAfterACrashMakesOneVersion) {
  const std::string id = Train();
  artifacts_.OnPublish([this] {
    disk_->set_full(true);  // The server dies between publishing and the commit.
    return absl::OkStatus();
  });
  EXPECT_FALSE(Report(id, {Outcome()}).ok());
  artifacts_.OnPublish(nullptr);
  Boot();
  Attach(id);
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
  EXPECT_EQ(store_->GetModel("cnn-3", 1000, "")->version_count(), 1);
  EXPECT_EQ(Get(id).result().model_version(), "models/cnn-3/versions/1");
}

TEST_F(ControllerRestartTest, FilesOfAJobThatEndedJustBeforeAreFreedAfterwards) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  Boot();
  EXPECT_FALSE(artifacts_.Did("free " + id));
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did("free " + id));
  EXPECT_TRUE(store_->LoadUnfinished()->empty());
}

TEST_F(ControllerRestartTest, StoppingJobGoesOnStopping) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  Boot();
  EXPECT_TRUE(Attach(id).stop);
  ASSERT_TRUE(Report(id, {Outcome(true)}).ok());
  EXPECT_EQ(State(id), "STOPPED");
}

TEST_F(ControllerShutdownTest, WorkersAreSuspendedAndGoOnAfterTheRestart) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  const std::string queued = Start();
  controller_->BeginShutdown();
  EXPECT_TRUE(link_->suspended());
  EXPECT_FALSE(controller_->AllSuspended());
  EXPECT_FALSE(controller_->AwaitSuspended(absl::ZeroDuration()));
  auto refused = controller_->Start(Request());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused.status()), "SHUTTING_DOWN");

  ASSERT_TRUE(Report(id, {Suspended()}).ok());
  EXPECT_TRUE(controller_->AwaitSuspended(absl::InfiniteDuration()));
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "SERVER_SHUTDOWN");
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 1u);  // Nothing new is started.
  EXPECT_FALSE(controller_->AwaitProcessesGone(absl::ZeroDuration()));
  executor_.Exit("process-1", "exited with code 0");
  EXPECT_TRUE(controller_->AwaitProcessesGone(absl::InfiniteDuration()));

  Boot();
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
  EXPECT_EQ(Get(id).queue_position(), 0);
  EXPECT_EQ(Get(queued).queue_position(), 1);
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerShutdownTest, WorkerThatAttachesDuringShutdownIsSuspended) {
  const std::string id = Start();
  controller_->Tick();
  controller_->BeginShutdown();
  EXPECT_TRUE(Attach(id).suspend);
}

TEST_F(ControllerRestartTest, AJobThatContradictsItselfIsDamageAndNotRecovered) {
  const std::string id = Train();
  JobUpdate update;
  update.record = *store_->Load(id);
  EXPECT_TRUE(CheckUnended(update.record).ok());
  update.record.job.clear_attempts();
  ASSERT_TRUE(store_->Commit(update).ok());
  EXPECT_EQ(ReasonOf(CreateController().status()), "DATABASE_DAMAGED");
}

TEST_F(ControllerShutdownTest, WhatDoesNotSuspendInTimeIsKilledAndNotCountedAsLost) {
  const std::string id = Train();
  controller_->BeginShutdown();
  controller_->KillRemaining();
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_TRUE(controller_->AllSuspended());
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "SERVER_SHUTDOWN");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

TEST_F(ControllerShutdownTest, WorkerThatDiesDuringShutdownIsNotCountedAsLost) {
  const std::string id = Train();
  controller_->BeginShutdown();
  executor_.Exit("process-1", "killed by signal 15");
  EXPECT_EQ(Reason(id), "SERVER_SHUTDOWN");
  EXPECT_EQ(store_->Load(id)->lost_attempts, 0);
}

}  // namespace
}  // namespace atelier::jobs
