// JobController: jobs that build on an earlier one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/error.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class ControllerContinueTest : public ControllerTest {
 protected:
  // A job that finished an epoch and completed, with version 1 of cnn-3.
  std::string Complete(const v1::StartTrainingRequest& request = Request()) {
    const std::string id = Train(request);
    EXPECT_TRUE(Report(id, {Step(1, 1), Epoch(1), Phase(worker::v1::PHASE_EVALUATING),
                            Phase(worker::v1::PHASE_STORING), Outcome()})
                    .ok());
    executor_.Exit(HandleOf(id), "exited");
    controller_->Tick();
    return id;
  }
  v1::StartTrainingRequest Continue(const std::string& id) {
    v1::StartTrainingRequest request;
    request.set_continue_job("jobs/" + id);
    return request;
  }
  v1::StartTrainingRequest From(const std::string& version) {
    v1::StartTrainingRequest request;
    request.mutable_spec()->set_start_from(version);
    return request;
  }
};

TEST_F(ControllerContinueTest, AContinuedJobGetsTheCheckpointAndSaysWhose) {
  const std::string ended = Complete();
  const std::string id = Start(Continue(ended));
  EXPECT_TRUE(artifacts_.Did("hand " + ended + " to " + id));
  const v1::TrainingJob job = Get(id);
  EXPECT_EQ(job.spec().continues(), "jobs/" + ended);
  EXPECT_EQ(job.start().continued_job(), "jobs/" + ended);
  EXPECT_EQ(job.start().continued_epochs(), 1);
  EXPECT_EQ(job.spec().preset(), "cnn-3");
  controller_->Tick();
  const Attachment attachment = Attach(id);
  EXPECT_EQ(attachment.assignment.continued_dir(), artifacts_.AttemptDir(id, 0));
  EXPECT_EQ(attachment.assignment.start().continued_job(), "jobs/" + ended);
}

TEST_F(ControllerContinueTest, OnlyEndedJobsAreContinued) {
  const std::string id = Train();
  EXPECT_EQ(ReasonOf(controller_->Start(Continue(id)).status()), "JOB_NOT_ENDED");
  EXPECT_EQ(ReasonOf(controller_->Start(Continue("none")).status()), "JOB_NOT_FOUND");
}

TEST_F(ControllerContinueTest, WithoutACheckpointThereIsNothingToContinue) {
  const std::string ended = Complete();
  artifacts_.LoseCheckpoints();
  EXPECT_EQ(ReasonOf(controller_->Start(Continue(ended)).status()), "NO_CHECKPOINT");
}

TEST_F(ControllerContinueTest, OtherDataIsRefused) {
  const std::string id = Train();
  worker::v1::WorkerEvent outcome = Outcome();
  outcome.mutable_outcome()->mutable_result()->set_dataset_checksum("old");
  ASSERT_TRUE(Report(id, {Epoch(1), Phase(worker::v1::PHASE_EVALUATING), outcome}).ok());
  datasets_.SetChecksum("new");
  EXPECT_EQ(ReasonOf(controller_->Start(Continue(id)).status()), "DATASET_CHANGED");
  datasets_.SetChecksum("old");
  EXPECT_TRUE(controller_->Start(Continue(id)).ok());
}

TEST_F(ControllerContinueTest, ClientsCannotSetWhatTheServerSets) {
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_continues("jobs/x");
  request.mutable_spec()->set_schedule_start_epoch(1);
  const auto violations = ViolationsOf(controller_->Start(request).status());
  ASSERT_EQ(violations.size(), 2U);
  EXPECT_EQ(violations[0].field, "spec.continues");
  EXPECT_EQ(violations[1].field, "spec.schedule_start_epoch");
  request = Request();
  request.set_more_epochs(3);
  EXPECT_EQ(ViolationsOf(controller_->Start(request).status())[0].field, "more_epochs");
}

TEST_F(ControllerContinueTest, AJobResemblesAnother) {
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->set_dropout(0.5);
  request.mutable_spec()->set_seed(3);
  const std::string first = Start(request);
  v1::StartTrainingRequest like;
  like.set_like("jobs/" + first);
  like.mutable_spec()->set_epochs(4);
  const v1::TrainingSpec spec = Get(Start(like)).spec();
  EXPECT_EQ(spec.preset(), "cnn-3");
  EXPECT_EQ(spec.dropout(), 0.5);
  EXPECT_EQ(spec.epochs(), 4);
  EXPECT_EQ(spec.seed(), 7);
  like.set_like("jobs/none");
  EXPECT_EQ(ReasonOf(controller_->Start(like).status()), "JOB_NOT_FOUND");
  like.set_like("none");
  EXPECT_EQ(ViolationsOf(controller_->Start(like).status())[0].field, "like");
}

TEST_F(ControllerContinueTest, AJobResemblesAVersion) {
  Complete();
  v1::StartTrainingRequest like;
  like.set_like("models/cnn-3");
  EXPECT_EQ(Get(Start(like)).spec().preset(), "cnn-3");
  like.set_like("models/cnn-3/versions/9");
  EXPECT_EQ(ReasonOf(controller_->Start(like).status()), "VERSION_NOT_FOUND");
}

TEST_F(ControllerContinueTest, AVersionToStartFromGetsItsNumberAndGivesTheNetwork) {
  Complete();
  const std::string id = Start(From("models/cnn-3"));
  const v1::TrainingJob job = Get(id);
  EXPECT_EQ(job.spec().start_from(), "models/cnn-3/versions/1");
  EXPECT_EQ(job.spec().preset(), "cnn-3");
  EXPECT_EQ(job.start().model_version(), "models/cnn-3/versions/1");
  controller_->Tick();
  EXPECT_EQ(Attach(id).assignment.start_archive(), artifacts_.ArchivePath("cnn-3", 1));
}

TEST_F(ControllerContinueTest, AStartKeepsTheNumbersThatStandardizeImages) {
  const std::string ended = Train();
  worker::v1::WorkerEvent outcome = Outcome();
  v1::Standardization& numbers =
      *outcome.mutable_outcome()->mutable_result()->mutable_standardization();
  numbers.add_mean(0.25F);
  numbers.add_deviation(0.5F);
  ASSERT_TRUE(Report(ended, {Step(1, 1), Epoch(1), Phase(worker::v1::PHASE_EVALUATING),
                             Phase(worker::v1::PHASE_STORING), outcome})
                  .ok());
  EXPECT_EQ(Get(ended).spec().network().standardization().mean_size(), 0);
  v1::StartTrainingRequest request = From("models/cnn-3");
  request.mutable_spec()->mutable_network()->set_name("cnn-3");
  const v1::TrainingSpec spec = Get(Start(request)).spec();
  EXPECT_TRUE(spec.standardize());
  EXPECT_EQ(spec.network().standardization().mean(0), 0.25F);
  // What resembles the job is standardized by its own data.
  v1::StartTrainingRequest like;
  like.set_like("models/cnn-3");
  EXPECT_FALSE(Get(Start(like)).spec().network().has_standardization());
  request.mutable_spec()->set_standardize(false);
  const auto violations = ViolationsOf(controller_->Start(request).status());
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].field, "spec.standardize");
  EXPECT_THAT(violations[0].description, HasSubstr("models/cnn-3/versions/1"));
}

TEST_F(ControllerContinueTest, ANetworkWithNumbersStandardizes) {
  v1::StartTrainingRequest request = Request();
  request.mutable_spec()->mutable_network()->mutable_standardization()->add_mean(0.5F);
  EXPECT_TRUE(Get(Start(request)).spec().standardize());
  request.mutable_spec()->set_standardize(false);
  EXPECT_EQ(ViolationsOf(controller_->Start(request).status())[0].field, "spec.standardize");
}

TEST_F(ControllerContinueTest, AVersionThatIsNotThereIsAWrongField) {
  Complete();
  for (const char* name :
       {"models/none", "models/cnn-3/versions/9", "models/cnn-3/versions/prod", "cnn-3"}) {
    const auto violations = ViolationsOf(controller_->Start(From(name)).status());
    ASSERT_FALSE(violations.empty()) << name;
    EXPECT_EQ(violations[0].field, "spec.start_from") << name;
  }
}

TEST_F(ControllerContinueTest, AJobWhoseFileIsAwayWaitsInItsPlaceAndOthersDoNot) {
  Complete();
  artifacts_.SetThere(false);
  const std::string waiting = Start(From("models/cnn-3"));
  const std::string stopped = Start(From("models/cnn-3"));
  const std::string other = Start();
  controller_->Tick();
  EXPECT_EQ(State(other), "STARTING");
  EXPECT_EQ(State(waiting), "QUEUED");
  EXPECT_EQ(Get(waiting).queue_position(), 0);
  EXPECT_THAT(Get(waiting).waiting_reason(), HasSubstr("brought back"));
  ASSERT_TRUE(controller_->Stop(stopped).ok());
  EXPECT_EQ(State(stopped), "STOPPED");
  Pass(absl::Seconds(2));
  EXPECT_EQ(Get(waiting).waiting_reason(), "") << "it waits for cores now";
  artifacts_.SetThere(absl::UnavailableError("The store is away."));
  ASSERT_TRUE(controller_->Stop(other).ok());
  executor_.Exit(HandleOf(other), "ended");
  Pass(absl::Seconds(2));
  EXPECT_EQ(Get(waiting).waiting_reason(), "The store is away.");
  artifacts_.SetThere(true);
  Pass(absl::Seconds(2));
  EXPECT_EQ(State(waiting), "STARTING");
  EXPECT_FALSE(Get(waiting).has_queue_position());
}

TEST_F(ControllerContinueTest, AnArchiveThatIsAwayCanBeTriedAgain) {
  Complete();
  artifacts_.SetArchive(absl::UnavailableError("The store is away."));
  const absl::Status refused = controller_->Start(From("models/cnn-3")).status();
  EXPECT_EQ(ReasonOf(refused), "ARCHIVE_UNAVAILABLE");
  EXPECT_TRUE(absl::IsUnavailable(refused));
}

TEST_F(ControllerContinueTest, ADamagedArchiveIsRefused) {
  Complete();
  artifacts_.SetArchive(absl::DataLossError("cut"));
  const absl::Status refused = controller_->Start(From("models/cnn-3")).status();
  EXPECT_EQ(ReasonOf(refused), "ARCHIVE_DAMAGED");
  EXPECT_THAT(refused.message(), HasSubstr("models/cnn-3/versions/1"));
}

TEST_F(ControllerContinueTest, AVersionStaysWhileAJobStartsFromIt) {
  Complete();
  const std::string id = Start(From("models/cnn-3"));
  const absl::Status refused = store_->DeleteVersion("cnn-3", 1, /*force=*/true);
  EXPECT_EQ(ReasonOf(refused), "VERSION_NEEDED");
  EXPECT_THAT(refused.message(), HasSubstr(id));
  EXPECT_EQ(ReasonOf(store_->DeleteModel("cnn-3", true).status()), "VERSION_NEEDED");
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_TRUE(store_->DeleteVersion("cnn-3", 1, true).ok());
}

TEST_F(ControllerContinueTest, NamesWhatNeedsAVersion) {
  options_.queue_capacity = 10;
  Boot();
  Complete();
  const auto refusal = [this] {
    return std::string(store_->DeleteVersion("cnn-3", 1, true).message());
  };
  const std::string first = JobName(Start(From("models/cnn-3")));
  EXPECT_THAT(refusal(), EndsWith(absl::StrCat("yet: ", first,
                                               " needs it and has not ended; wait, or stop it.")));
  const std::string second = JobName(Start(From("models/cnn-3")));
  EXPECT_THAT(refusal(),
              EndsWith(absl::StrCat("yet: ", first, " and ", second,
                                    " need it and have not ended; wait, or stop them.")));
  const std::string third = JobName(Start(From("models/cnn-3")));
  EXPECT_THAT(refusal(), HasSubstr(absl::StrCat(first, ", ", second, " and ", third, " need")));
  Start(From("models/cnn-3"));
  EXPECT_THAT(refusal(),
              HasSubstr(absl::StrCat(first, ", ", second, ", ", third, " and others need")));
}

// Deleted between the request's check and its storing.
TEST_F(ControllerContinueTest, AJobIsNotStoredWithoutItsVersion) {
  Complete();
  JobRecord record;
  record.id = "late";
  record.job.mutable_spec()->set_start_from("models/cnn-3/versions/1");
  ASSERT_TRUE(store_->DeleteVersion("cnn-3", 1, true).ok());
  EXPECT_EQ(ReasonOf(store_->Insert(record, {}).status()), "VERSION_NOT_FOUND");
}

}  // namespace
}  // namespace atelier::jobs
