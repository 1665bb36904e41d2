// Starting, showing, stopping and deleting jobs.
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ControllerRequestsTest = ControllerTest;

TEST_F(ControllerRequestsTest, AcceptedJobIsQueuedStoredAndResolved) {
  const std::string id = Start();
  const v1::TrainingJob job = Get(id);
  EXPECT_EQ(job.name(), "jobs/" + id);
  EXPECT_EQ(id, "cnn-3-20231114-221321");
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.spec().epochs(), 20);
  EXPECT_EQ(job.spec().seed(), 7);
  EXPECT_EQ(job.queue_position(), 0);
  ASSERT_EQ(job.transitions_size(), 1);
  EXPECT_EQ(job.transitions(0).reason(), "ACCEPTED");
  Boot();
  EXPECT_EQ(State(id), "QUEUED");
}

TEST_F(ControllerRequestsTest, JobsStartedInOneSecondHaveDifferentIds) {
  const std::string first = Start();
  const std::string second = Start();
  EXPECT_EQ(second, first + "-2");
}

TEST_F(ControllerRequestsTest, IdOfADeletedJobIsNotGivenAgain) {
  const std::string first = Start();
  ASSERT_TRUE(controller_->Stop(first).ok());
  ASSERT_TRUE(controller_->Delete(first).ok());
  EXPECT_EQ(Start(), first + "-2");
}

TEST_F(ControllerRequestsTest, InvalidRequestNamesItsFieldsAndStartsNothing) {
  v1::StartTrainingRequest request;
  request.mutable_spec()->set_epochs(0);
  auto job = controller_->Start(request);
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ViolationsOf(job.status()).size(), 2u);  // And no preset.
  EXPECT_EQ(controller_->List({})->jobs_size(), 0);
}

TEST_F(ControllerRequestsTest, FullQueueRefuses) {
  for (int i = 0; i < 3; ++i) Start();
  auto job = controller_->Start(Request());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(job.status()), "QUEUE_FULL");
  controller_->Tick();  // One leaves the queue.
  EXPECT_TRUE(controller_->Start(Request()).ok());
}

TEST_F(ControllerRequestsTest, RepeatedRequestIdAnswersWithTheSameJob) {
  v1::StartTrainingRequest request = Request();
  request.set_request_id("once");
  const std::string id = Start(request);
  EXPECT_EQ(Start(request), id);
  Boot();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(Start(request), id);
  EXPECT_EQ(State(id), "STOPPED");

  request.mutable_spec()->set_epochs(3);
  auto other = controller_->Start(request);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(other.status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(controller_->List({})->jobs_size(), 1);
}

TEST_F(ControllerRequestsTest, AnotherCreatorsRequestIdMakesAnotherJob) {
  v1::StartTrainingRequest request = Request();
  request.set_request_id("once");
  const auto alices = controller_->Start(request, "alice");
  const auto bobs = controller_->Start(request, "bob");
  ASSERT_TRUE(alices.ok() && bobs.ok());
  EXPECT_NE(alices->name(), bobs->name());
  EXPECT_EQ(bobs->creator(), "bob");
  EXPECT_EQ(controller_->Start(request, "alice")->name(), alices->name());
  EXPECT_EQ(controller_->Start(request, "bob")->name(), bobs->name());
}

TEST_F(ControllerRequestsTest, RepeatIsAnsweredThoughItsDataSetIsGone) {
  v1::StartTrainingRequest request = Request();
  request.set_request_id("once");
  const std::string id = Start(request);
  datasets_.Remove("fashion-mnist");
  Boot();
  EXPECT_EQ(Start(request), id);
}

TEST_F(ControllerRequestsTest, RepeatOfADeletedJobsRequestStartsNothingForADay) {
  v1::StartTrainingRequest request = Request();
  request.set_request_id("once");
  const std::string id = Start(request);
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(controller_->Delete(id).ok());
  Boot();
  const absl::Status repeat = controller_->Start(request).status();
  EXPECT_EQ(repeat.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(repeat), "JOB_DELETED");
  EXPECT_NE(repeat.message().find("jobs/" + id), std::string::npos) << repeat;
  clock_.Advance(absl::Hours(25));
  EXPECT_TRUE(controller_->Start(request).ok());
}

TEST_F(ControllerRequestsTest, NothingIsAcceptedWhileTheDiskIsFull) {
  disk_->set_full(true);
  EXPECT_EQ(ReasonOf(controller_->Start(Request()).status()), "DISK_FULL");
  disk_->set_full(false);
  EXPECT_EQ(controller_->List({})->jobs_size(), 0);
  EXPECT_EQ(controller_->Load().queued, 0u);
  const std::string id = Start();
  EXPECT_EQ(Replay(id).size(), 1u);
}

TEST_F(ControllerRequestsTest, HigherPriorityStandsFirstInTheQueue) {
  const std::string low = Start();
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_priority(5);
  const std::string high = Start(request);
  EXPECT_EQ(Get(high).queue_position(), 0);
  EXPECT_EQ(Get(low).queue_position(), 1);
  controller_->Tick();
  EXPECT_EQ(State(high), "STARTING");
  EXPECT_FALSE(Get(high).has_queue_position());
  EXPECT_EQ(Get(low).queue_position(), 0);
}

TEST_F(ControllerRequestsTest, ListsNewestFirstInPagesAndByState) {
  const std::string first = Start();
  const std::string second = Start();
  ASSERT_TRUE(controller_->Stop(first).ok());
  v1::ListJobsRequest request;
  request.set_page_size(1);
  auto page = controller_->List(request);
  ASSERT_EQ(page->jobs_size(), 1);
  EXPECT_EQ(page->jobs(0).name(), "jobs/" + second);
  EXPECT_EQ(page->jobs(0).queue_position(), 0);
  request.set_page_token(page->next_page_token());
  page = controller_->List(request);
  EXPECT_EQ(page->jobs(0).name(), "jobs/" + first);
  EXPECT_EQ(page->next_page_token(), "");

  v1::ListJobsRequest stopped;
  stopped.add_states(v1::JOB_STATE_STOPPED);
  EXPECT_EQ(controller_->List(stopped)->jobs_size(), 1);
  stopped.set_page_token(request.page_token());  // Of another list.
  EXPECT_EQ(ViolationsOf(controller_->List(stopped).status())[0].field, "page_token");
  request.set_page_size(1001);
  EXPECT_EQ(ViolationsOf(controller_->List(request).status())[0].field, "page_size");
  v1::ListJobsRequest unknown;
  unknown.add_states(static_cast<v1::JobState>(99));
  EXPECT_EQ(ViolationsOf(controller_->List(unknown).status())[0].field, "states");
}

TEST_F(ControllerRequestsTest, QueuedJobStopsAtOnce) {
  const std::string id = Start();
  auto job = controller_->Stop(id);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::JOB_STATE_STOPPED);
  EXPECT_TRUE(job->has_end_time());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_EQ(controller_->Load().queued, 0u);
  controller_->Tick();
  EXPECT_TRUE(executor_.launches().empty());
  EXPECT_TRUE(artifacts_.Did("free " + id));
}

TEST_F(ControllerRequestsTest, StoppingAgainChangesNothing) {
  const std::string id = Start();
  ASSERT_TRUE(controller_->Stop(id).ok());
  auto again = controller_->Stop(id);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->transitions_size(), Get(id).transitions_size());

  const std::string running = Train();
  EXPECT_EQ(controller_->Stop(running)->state(), v1::JOB_STATE_STOPPING);
  EXPECT_EQ(controller_->Stop(running)->transitions_size(), Get(running).transitions_size());
}

TEST_F(ControllerRequestsTest, EndedJobCannotBeStopped) {
  const std::string id = Train();
  ASSERT_TRUE(Report(id, {Failure("DIVERGED", "The loss is NaN in epoch 1, step 7.")}).ok());
  auto stopped = controller_->Stop(id);
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(stopped.status()), "JOB_ENDED");
}

TEST_F(ControllerRequestsTest, OnlyAnEndedJobCanBeDeleted) {
  const std::string id = Start();
  auto deleted = controller_->Delete(id);
  EXPECT_EQ(deleted.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(deleted), "JOB_NOT_ENDED");
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(controller_->Delete(id).ok());
  EXPECT_TRUE(artifacts_.Did("remove " + id));
  EXPECT_EQ(ReasonOf(controller_->Get(id).status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(controller_->Delete(id)), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(events_->Read(id, 0, 0, false).status()), "JOB_NOT_FOUND");
}

TEST_F(ControllerRequestsTest, UnknownJobIsNotFound) {
  EXPECT_EQ(ReasonOf(controller_->Get("none").status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(controller_->Stop("none").status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(controller_->GetConfusionMatrix("none").status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(controller_->GetPredictions("none", {}).status()), "JOB_NOT_FOUND");
}

TEST_F(ControllerRequestsTest, NothingToShowBeforeTheTestSetWasScored) {
  const std::string id = Start();
  EXPECT_EQ(ReasonOf(controller_->GetConfusionMatrix(id).status()), "NOT_EVALUATED");
  EXPECT_EQ(ReasonOf(controller_->GetPredictions(id, {}).status()), "NOT_EVALUATED");
}

}  // namespace
}  // namespace atelier::jobs
