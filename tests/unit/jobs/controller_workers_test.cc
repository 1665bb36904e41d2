// Workers attach, report, fail, get lost and finish.
#include "gmock/gmock.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ControllerWorkersTest = ControllerTest;
using ::testing::HasSubstr;
using worker::v1::PHASE_EVALUATING;
using worker::v1::PHASE_PREPARING;
using worker::v1::PHASE_STORING;
using worker::v1::PHASE_TRAINING;

TEST_F(ControllerWorkersTest, StartsAProcessWithTheJobsResources) {
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_cores(1);
  request.mutable_spec()->set_memory_bytes(std::int64_t{1} << 30);
  const std::string id = Start(request);
  controller_->Tick();
  ASSERT_EQ(executor_.launches().size(), 1u);
  const LaunchRequest launch = executor_.launches()[0];
  EXPECT_EQ(launch.job_id, id);
  EXPECT_EQ(launch.attempt, 1);
  EXPECT_EQ(launch.resources.cores, 1);
  EXPECT_EQ(launch.resources.memory_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(launch.attempt_dir, "/artifacts/" + id + "/1");
  EXPECT_GE(launch.token.size(), 32u);
  EXPECT_EQ(State(id), "STARTING");
  EXPECT_EQ(HandleOf(id), "process-1");
}

TEST_F(ControllerWorkersTest, NothingOvertakesAJobThatWaitsForCores) {
  v1::StartTrainingRequest one = Request();
  one.mutable_spec()->set_cores(1);
  const std::string first = Start(one);
  const std::string wide = Start();  // Two cores.
  const std::string last = Start(one);
  controller_->Tick();
  EXPECT_EQ(State(first), "STARTING");
  EXPECT_EQ(State(wide), "QUEUED");
  EXPECT_EQ(State(last), "QUEUED");
  Attach(first);
  ASSERT_TRUE(Report(first, {Failure("DIVERGED", "NaN.")}).ok());
  executor_.Exit("process-1", "exited with code 1");
  controller_->Tick();
  EXPECT_EQ(State(wide), "STARTING");
  EXPECT_EQ(State(last), "QUEUED");
}

TEST_F(ControllerWorkersTest, CoresAreFreeOnceTheProcessIsGone) {
  const std::string first = Train();
  const std::string second = Start();
  ASSERT_TRUE(Report(first, {Outcome()}).ok());
  EXPECT_EQ(controller_->Load().running, 0u);
  EXPECT_EQ(controller_->Load().free_cores, 0);
  controller_->Tick();
  EXPECT_EQ(State(second), "QUEUED");
  executor_.Exit("process-1", "exited with code 0");
  EXPECT_EQ(controller_->Load().free_cores, 2);
  controller_->Tick();
  EXPECT_EQ(State(second), "STARTING");
}

TEST_F(ControllerWorkersTest, AssignmentSaysWhatToDo) {
  const std::string id = Start();
  controller_->Tick();
  const Attachment attachment = Attach(id);
  EXPECT_EQ(attachment.assignment.spec().preset(), "cnn-3");
  EXPECT_EQ(attachment.assignment.dataset_dir(), "/data/fashion-mnist");
  EXPECT_EQ(attachment.assignment.attempt_dir(), "/artifacts/" + id + "/1");
  EXPECT_EQ(attachment.assignment.earlier_attempt_dirs_size(), 0);
  EXPECT_EQ(attachment.assignment.recorded_epoch(), 0);
  EXPECT_EQ(attachment.assignment.acknowledged(), 0);
  EXPECT_EQ(attachment.assignment.lease().seconds(), 30);
  EXPECT_EQ(attachment.assignment.job_name(), "jobs/" + id);
  EXPECT_FALSE(attachment.stop);
  EXPECT_FALSE(attachment.suspend);
}

TEST_F(ControllerWorkersTest, FurtherProcessesAreToldWhatTheFirstIs) {
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_nodes(2);
  request.mutable_spec()->set_cores(1);
  request.mutable_spec()->set_memory_bytes(std::int64_t{1} << 30);
  const std::string id = Start(request);
  controller_->Tick();
  const LaunchRequest launch = executor_.launches()[0];
  EXPECT_EQ(launch.resources.nodes, 2);
  EXPECT_EQ(launch.resources.cores, 1) << "of each";
  EXPECT_EQ(launch.resources.memory_bytes, std::int64_t{1} << 30) << "of each";
  EXPECT_EQ(controller_->Load().free_cores, 0) << "both of the server's two";

  worker::v1::Hello hello = Hello(id);
  hello.set_token("guess");
  EXPECT_EQ(controller_->Join(hello).status().code(), absl::StatusCode::kUnauthenticated);
  const auto joined = controller_->Join(Hello(id));
  ASSERT_TRUE(joined.ok()) << joined.status();
  const Attachment attachment = Attach(id);
  EXPECT_EQ(joined->spec().nodes(), 2);
  EXPECT_EQ(joined->attempt_dir(), attachment.assignment.attempt_dir());
  EXPECT_EQ(joined->dataset_dir(), attachment.assignment.dataset_dir());
  ASSERT_TRUE(Report(id, {Failure("BAD_DATA", "No images.")}).ok());
  EXPECT_EQ(controller_->Join(Hello(id)).status().code(), absl::StatusCode::kAborted);
}

TEST_F(ControllerWorkersTest, AttachNeedsTheTokenAndAWantedAttempt) {
  const std::string id = Start();
  controller_->Tick();
  worker::v1::Hello hello = Hello(id);
  hello.set_token("guess");
  auto link = std::make_shared<FakeLink>();
  auto refused = controller_->Attach(hello, link);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReasonOf(refused.status()), "WRONG_TOKEN");

  hello = Hello(id);
  hello.set_attempt(2);
  EXPECT_EQ(controller_->Attach(hello, link).status().code(), absl::StatusCode::kAborted);
  hello.set_job("none");
  EXPECT_EQ(controller_->Attach(hello, link).status().code(), absl::StatusCode::kAborted);

  hello = Hello(id);
  Attach(id);
  ASSERT_TRUE(Report(id, {Failure("BAD_DATA", "No images.")}).ok());
  EXPECT_EQ(ReasonOf(controller_->Attach(hello, link).status()), "ATTEMPT_NOT_WANTED");
}

TEST_F(ControllerWorkersTest, AVersionWithOtherClassesDoesNotBecomeTheLatestAndTheJobSaysSo) {
  const std::string first = Train();
  ASSERT_TRUE(Report(first, {Epoch(1), Checkpoint(1, 422), Outcome()}).ok());
  executor_.Exit(HandleOf(first), "exited");
  const std::string id = Train();
  worker::v1::WorkerEvent other = Outcome();
  other.mutable_outcome()->mutable_confusion_matrix()->set_class_names(1, "boot");
  ASSERT_TRUE(Report(id, {Epoch(1), Checkpoint(1, 422), other}).ok());
  const v1::TrainingJob job = Get(id);
  const std::string stays =
      "models/cnn-3/versions/2; latest stays at version 1, since its class 1 is 'boot' instead of "
      "'bag'.";
  EXPECT_EQ(job.transitions().rbegin()->message(), "The model is stored as " + stays);
  ASSERT_EQ(job.result().warnings_size(), 1);
  EXPECT_EQ(store_->ResolveVersion("cnn-3", "2")->result().warnings_size(), 1);
  EXPECT_EQ(store_->ResolveVersion("cnn-3", "latest")->version(), 1);
}

TEST_F(ControllerWorkersTest, WholeJobGoesThroughEveryState) {
  const std::string id = Train();
  EXPECT_EQ(*Report(id, {Step(1, 10), Resources(), Epoch(1), Checkpoint(1, 422)}), 6);
  EXPECT_EQ(Get(id).progress().step(), 10);
  ASSERT_TRUE(Report(id, {Phase(PHASE_EVALUATING), Phase(PHASE_STORING)}).ok());
  EXPECT_EQ(*Report(id, {Outcome()}), 9);

  const v1::TrainingJob job = Get(id);
  std::vector<std::string> states;
  for (const auto& transition : job.transitions()) {
    states.emplace_back(StateWord(transition.state()));
    EXPECT_NE(transition.reason(), "");
    EXPECT_NE(transition.message(), "");
    EXPECT_TRUE(transition.has_time());
  }
  EXPECT_EQ(states, (std::vector<std::string>{"QUEUED", "STARTING", "PREPARING", "TRAINING",
                                              "EVALUATING", "STORING", "COMPLETED"}));
  EXPECT_EQ(job.result().model_version(), "models/cnn-3/versions/1");
  EXPECT_EQ(job.result().test_accuracy(), 0.9);
  EXPECT_TRUE(job.has_end_time());
  EXPECT_EQ(job.attempts(0).end_reason(), "COMPLETED");
  EXPECT_TRUE(artifacts_.Did("publish " + id + " as cnn-3@1"));

  auto version = store_->ResolveVersion("cnn-3", "latest");
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->job(), "jobs/" + id);
  EXPECT_EQ(version->sha256(), "abc");
  EXPECT_EQ(version->size_bytes(), 123);
  EXPECT_EQ(version->class_names_size(), 2);
  EXPECT_EQ(version->image_shape().width(), 28);
  EXPECT_EQ(version->result().model_version(), "models/cnn-3/versions/1");

  EXPECT_EQ(controller_->GetConfusionMatrix(id)->job(), "jobs/" + id);
  v1::GetPredictionsRequest wrong;
  wrong.set_wrong_only(true);
  EXPECT_EQ(controller_->GetPredictions(id, wrong)->predictions_size(), 2);

  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did("free " + id));
  EXPECT_FALSE(artifacts_.Did("remove cnn-3@1"));
  const auto events = Replay(id);
  EXPECT_TRUE(events[events.size() - 2].has_result());
  EXPECT_EQ(events.back().transition().state(), v1::JOB_STATE_COMPLETED);
  EXPECT_TRUE(events_->Read(id, events.back().number(), 0, false)->ended);
}

TEST_F(ControllerWorkersTest, JobNumbersGrowByOne) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Step(1, 1), Step(1, 2), Resources()}).ok());
  std::int64_t expected = 1;
  for (const auto& event : Replay(id)) EXPECT_EQ(event.number(), expected++);
  EXPECT_EQ(expected, 8);
}

TEST_F(ControllerWorkersTest, EventsSentAgainAreLeftOut) {
  const std::string id = Train();
  std::vector<worker::v1::WorkerEvent> events = {Step(1, 1), Step(1, 2), Step(1, 3)};
  for (int i = 0; i < 3; ++i) events[i].set_number(3 + i);
  ASSERT_EQ(*controller_->Report(id, 1, absl::MakeSpan(events).first(2)), 4);
  ASSERT_EQ(*controller_->Report(id, 1, events), 5);
  ASSERT_EQ(*controller_->Report(id, 1, events), 5);
  int steps = 0;
  for (const auto& event : Replay(id)) steps += event.has_step();
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(Attach(id).assignment.acknowledged(), 5);
}

TEST_F(ControllerWorkersTest, AGapInTheNumbersFailsTheJob) {
  const std::string id = Train();
  next_[id] += 1;
  auto report = Report(id, {Step(1, 1)});
  EXPECT_EQ(ReasonOf(report.status()), "PROTOCOL_VIOLATION");
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "INTERNAL");
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(link_->closed()->code(), absl::StatusCode::kAborted);
}

TEST_F(ControllerWorkersTest, NothingIsAcknowledgedWhileTheDiskIsFull) {
  const std::string id = Train();
  disk_->set_full(true);
  EXPECT_EQ(ReasonOf(Report(id, {Epoch(1)}).status()), "DISK_FULL");
  disk_->set_full(false);
  EXPECT_EQ(Attach(id).assignment.acknowledged(), 2);
  EXPECT_EQ(*Report(id, {Epoch(1)}), 3);
  int epochs = 0;
  for (const auto& event : Replay(id)) epochs += event.has_epoch();
  EXPECT_EQ(epochs, 1);
}

TEST_F(ControllerWorkersTest, FailureIsFinalAndKeepsItsReason) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Failure("DIVERGED", "The loss is NaN in epoch 3, step 17.")}).ok());
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "DIVERGED");
  EXPECT_EQ(Message(id), "The loss is NaN in epoch 3, step 17.");
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 1u);
  executor_.Exit("process-1", "exited with code 1");
  controller_->Tick();
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(executor_.launches().size(), 1u);
  EXPECT_EQ(controller_->Load().free_cores, 2);
}

TEST_F(ControllerWorkersTest, ADivergedJobFailsWithItsBestEpochsModel) {
  const std::string id = Train();
  worker::v1::WorkerEvent outcome = Outcome();
  outcome.mutable_outcome()->mutable_result()->set_best_epoch(3);
  outcome.mutable_outcome()->mutable_result()->set_diverged(true);
  outcome.mutable_outcome()->mutable_failure()->set_reason("DIVERGED");
  outcome.mutable_outcome()->mutable_failure()->set_message("The loss is NaN in epoch 4, step 17.");
  ASSERT_TRUE(Report(id, {outcome}).ok());
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "DIVERGED");
  EXPECT_EQ(Message(id),
            "The loss is NaN in epoch 4, step 17. The weights of epoch 3, the best, are stored as "
            "models/cnn-3/versions/1.");
  const v1::TrainingJob job = Get(id);
  EXPECT_TRUE(job.result().diverged());
  EXPECT_EQ(job.result().model_version(), "models/cnn-3/versions/1");
  EXPECT_EQ(job.attempts(0).end_reason(), "DIVERGED");
}

TEST_F(ControllerWorkersTest, OutOfMemoryTheWorkerSpokeOfIsNotRetried) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Failure("OUT_OF_MEMORY", "More than 2 GiB.")}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  controller_->Tick();
  EXPECT_EQ(Reason(id), "OUT_OF_MEMORY");
  EXPECT_EQ(executor_.launches().size(), 1u);
}

TEST_F(ControllerWorkersTest, LostWorkerIsReplacedThreeTimes) {
  const std::string id = Train();
  for (int lost = 1; lost <= 3; ++lost) {
    executor_.Exit(absl::StrCat("process-", lost), "killed by signal 9");
    EXPECT_EQ(State(id), "QUEUED");
    EXPECT_EQ(Reason(id), "WORKER_LOST");
    EXPECT_NE(Message(id).find("killed by signal 9"), std::string::npos);
    Pass(options_.max_retry_delay);
    EXPECT_EQ(State(id), "STARTING");
    EXPECT_EQ(AttemptOf(id), lost + 1);
  }
  executor_.Exit("process-4", "killed by signal 9");
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "WORKER_LOST");
  controller_->Tick();
  EXPECT_EQ(executor_.launches().size(), 4u);
}

TEST_F(ControllerWorkersTest, LostJobGoesToTheFrontOfItsPriority) {
  const std::string id = Train();
  const std::string waiting = Start();
  executor_.Exit("process-1", "killed by signal 9");
  EXPECT_EQ(Get(id).queue_position(), 0);
  EXPECT_EQ(Get(waiting).queue_position(), 1);
}

TEST_F(ControllerWorkersTest, NextAttemptIsToldWhereToLook) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Epoch(1), Epoch(2)}).ok());
  executor_.Exit("process-1", "killed by signal 9");
  const worker::v1::Hello old = [&] {
    auto hello = Hello(id);
    return hello;
  }();
  controller_->Tick();
  const Attachment attachment = Attach(id);
  EXPECT_EQ(attachment.assignment.attempt_dir(), "/artifacts/" + id + "/2");
  ASSERT_EQ(attachment.assignment.earlier_attempt_dirs_size(), 1);
  EXPECT_EQ(attachment.assignment.earlier_attempt_dirs(0), "/artifacts/" + id + "/1");
  EXPECT_EQ(attachment.assignment.recorded_epoch(), 2);
  EXPECT_EQ(attachment.assignment.acknowledged(), 0);
  EXPECT_EQ(controller_->Attach(old, link_).status().code(), absl::StatusCode::kAborted);
  worker::v1::WorkerEvent late = Epoch(3);
  late.set_number(5);
  EXPECT_EQ(ReasonOf(controller_->Report(id, 1, {late}).status()), "ATTEMPT_NOT_WANTED");
  EXPECT_EQ(ReasonOf(controller_->Heartbeat(id, 1)), "ATTEMPT_NOT_WANTED");
}

TEST_F(ControllerWorkersTest, WorkerIsLostWhenItsLeaseIsOver) {
  const std::string id = Train();
  Pass(absl::Seconds(29));
  EXPECT_EQ(State(id), "TRAINING");
  ASSERT_TRUE(controller_->Heartbeat(id, 1).ok());
  Pass(absl::Seconds(29));
  EXPECT_EQ(controller_->Tick(), absl::Seconds(1));
  EXPECT_EQ(State(id), "TRAINING");
  Pass(absl::Seconds(1));
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(link_->closed()->code(), absl::StatusCode::kAborted);
  EXPECT_EQ(State(id), "QUEUED");
  executor_.Exit("process-1", "killed by signal 9");
  Pass(options_.retry_delay);
  EXPECT_EQ(AttemptOf(id), 2);
  EXPECT_EQ(Get(id).attempts(0).end_reason(), "WORKER_LOST");
}

TEST_F(ControllerWorkersTest, DetachedWorkerMayComeBackWithinItsLease) {
  const std::string id = Train();
  controller_->Detached(id, 1, link_.get());
  Pass(absl::Seconds(20));
  Attach(id);
  Pass(absl::Seconds(20));
  EXPECT_EQ(State(id), "TRAINING");
  EXPECT_EQ(AttemptOf(id), 1);
}

TEST_F(ControllerWorkersTest, NewConnectionTakesThePlaceOfTheOld) {
  const std::string id = Train();
  const std::shared_ptr<FakeLink> old = link_;
  Attach(id);
  EXPECT_EQ(old->closed()->code(), absl::StatusCode::kUnavailable);
  controller_->Detached(id, 1, old.get());  // Comes late and changes nothing.
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_TRUE(link_->stopped());
  EXPECT_FALSE(old->stopped());
}

TEST_F(ControllerWorkersTest, ProcessThatNeverAttachesIsLost) {
  const std::string id = Start();
  controller_->Tick();
  Pass(options_.attach_timeout);
  EXPECT_TRUE(executor_.killed("process-1"));
  executor_.Exit("process-1", "killed by signal 9");
  Pass(options_.retry_delay);
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerWorkersTest, FailedLaunchIsTriedAgainAfterAPause) {
  const std::string id = Start();
  executor_.FailNextLaunch(absl::UnavailableError("no more processes"));
  EXPECT_EQ(controller_->Tick(), options_.retry_delay);
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_NE(Get(id).waiting_reason().find("no more processes"), std::string::npos);
  clock_.Advance(options_.retry_delay);
  controller_->Tick();
  EXPECT_EQ(State(id), "STARTING");
}

TEST_F(ControllerWorkersTest, ProcessThatEndsBeforeLaunchReturnsIsNoticed) {
  const std::string id = Start();
  executor_.DuringNextLaunch([this] { executor_.Exit("process-1", "exited with code 127"); });
  Pass(options_.retry_delay);
  EXPECT_EQ(AttemptOf(id), 2);
  EXPECT_NE(Get(id).transitions(2).message().find("code 127"), std::string::npos);
}

TEST_F(ControllerWorkersTest, ProcessThatStaysAfterItsEndIsKilled) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  Pass(options_.exit_timeout - absl::Seconds(1));
  EXPECT_FALSE(executor_.killed("process-1"));
  Pass(absl::Seconds(1));
  EXPECT_TRUE(executor_.killed("process-1"));
  EXPECT_EQ(controller_->Load().free_cores, 2);
}

TEST_F(ControllerWorkersTest, ProcessMayEndWhileItsOutcomeIsStored) {
  const std::string id = Train();
  artifacts_.OnPublish([this] {
    executor_.Exit("process-1", "exited with code 0");
    clock_.Advance(absl::Hours(1));
    controller_->Tick();
    return absl::OkStatus();
  });
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
}

TEST_F(ControllerWorkersTest, OutcomeThatCouldNotBePublishedIsDeliveredAgain) {
  const std::string id = Train();
  artifacts_.OnPublish([] { return absl::ResourceExhaustedError("disk full"); });
  EXPECT_EQ(Report(id, {Outcome()}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(State(id), "STORING");
  artifacts_.OnPublish(nullptr);
  EXPECT_EQ(Attach(id).assignment.acknowledged(), 2);
  ASSERT_TRUE(Report(id, {Outcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
  EXPECT_EQ(Get(id).result().model_version(), "models/cnn-3/versions/1");
}

TEST_F(ControllerWorkersTest, ArchiveThatIsNotThereFailsTheJobAndLeavesNoVersion) {
  const std::string id = Train();
  artifacts_.OnPublish([] { return absl::NotFoundError("no archive"); });
  EXPECT_FALSE(Report(id, {Outcome()}).ok());
  EXPECT_EQ(State(id), "FAILED");
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did("remove cnn-3@1"));
  EXPECT_EQ(ReasonOf(store_->GetModel("cnn-3", 1000, "").status()), "MODEL_NOT_FOUND");
}

TEST_F(ControllerWorkersTest, SecondJobOfAModelMakesItsSecondVersion) {
  const std::string first = Train();
  ASSERT_TRUE(Report(first, {Outcome()}).ok());
  executor_.Exit("process-1", "exited with code 0");
  const std::string second = Train();
  ASSERT_TRUE(Report(second, {Outcome()}).ok());
  EXPECT_EQ(Get(second).result().model_version(), "models/cnn-3/versions/2");
  EXPECT_EQ(store_->ResolveVersion("cnn-3", "")->version(), 2);
}

TEST_F(ControllerWorkersTest, DataSetThatCannotBeLookedUpHoldsTheJobUp) {
  const std::string id = Start();
  datasets_.SetError(absl::UnavailableError("The database is busy."));
  const absl::Duration pause = controller_->Tick();
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_THAT(Get(id).waiting_reason(), HasSubstr("The database is busy"));
  datasets_.SetError(absl::OkStatus());
  clock_.Advance(pause);
  controller_->Tick();
  EXPECT_EQ(State(id), "STARTING");
  datasets_.SetError(absl::UnavailableError("The database is busy."));
  EXPECT_EQ(controller_->Attach(Hello(id), std::make_shared<FakeLink>()).status().code(),
            absl::StatusCode::kUnavailable);
  datasets_.SetError(absl::OkStatus());
  Attach(id);
}

TEST_F(ControllerWorkersTest, DataSetThatIsGoneFailsTheJob) {
  const std::string id = Start();
  datasets_.Remove("fashion-mnist");
  controller_->Tick();
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "BAD_DATA");
  EXPECT_TRUE(executor_.launches().empty());
  EXPECT_EQ(controller_->Load().free_cores, 2);
}

TEST_F(ControllerWorkersTest, LostWorkerIsNotForgottenWhileTheDiskIsFull) {
  const std::string id = Train();
  disk_->set_full(true);
  executor_.Exit("process-1", "killed by signal 9");
  EXPECT_EQ(State(id), "TRAINING");
  EXPECT_FALSE(logged_.empty());
  clock_.Advance(options_.retry_delay);
  controller_->Tick();
  disk_->set_full(false);
  Pass(10 * options_.retry_delay);
  EXPECT_EQ(AttemptOf(id), 2);
  EXPECT_NE(Get(id).transitions(4).message().find("signal 9"), std::string::npos);
}

TEST_F(ControllerWorkersTest, AStartFailsOnceHoweverOftenThatCannotBeStored) {
  const std::string id = Start();
  controller_->Tick();
  disk_->set_full(true);
  executor_.Exit("process-1", "exited with code 1");
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(options_.retry_delay);
    controller_->Tick();
  }
  disk_->set_full(false);
  clock_.Advance(options_.retry_delay);
  EXPECT_EQ(controller_->Tick(), options_.retry_delay) << "the pause after one failed start";
  EXPECT_EQ(State(id), "QUEUED");
  clock_.Advance(options_.retry_delay);
  controller_->Tick();
  EXPECT_EQ(AttemptOf(id), 2);
}

TEST_F(ControllerWorkersTest, JobStaysQueuedWhileItsStartCannotBeStored) {
  const std::string id = Start();
  disk_->set_full(true);
  EXPECT_EQ(controller_->Tick(), options_.retry_delay);
  EXPECT_TRUE(executor_.launches().empty());
  EXPECT_EQ(Get(id).queue_position(), 0);
  disk_->set_full(false);
  clock_.Advance(options_.retry_delay);
  controller_->Tick();
  EXPECT_EQ(State(id), "STARTING");
}

}  // namespace
}  // namespace atelier::jobs
