// JobController: evaluations of models and checks of data sets.
#include "gmock/gmock.h"
#include "server/jobs/error.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using testing::HasSubstr;

class ControllerScoringTest : public ControllerTest {
 protected:
  // Of the classes and the shape of the models that Outcome makes.
  ControllerScoringTest() { datasets_.Add("photos", Facts({"bag", "shirt"})); }

  static DatasetFacts Facts(const std::vector<std::string>& classes) {
    DatasetFacts facts;
    facts.class_count = static_cast<int>(classes.size());
    facts.class_names = classes;
    facts.image_shape.set_channels(1);
    facts.image_shape.set_height(28);
    facts.image_shape.set_width(28);
    facts.training_images = 50;
    facts.test_images = 20;
    return facts;
  }

  // The model cnn-3, version 1.
  void MakeModel() {
    worker::v1::WorkerEvent outcome = Outcome();
    outcome.mutable_outcome()->mutable_result()->set_temperature(1.5);
    const std::string id = Train();
    EXPECT_TRUE(Report(id, {Phase(worker::v1::PHASE_EVALUATING), outcome}).ok());
    executor_.Exit(HandleOf(id), "exit code 0");
    controller_->Tick();
  }

  static v1::EvaluateModelRequest EvaluationRequest(const std::string& dataset = "photos") {
    v1::EvaluateModelRequest request;
    request.set_name("models/cnn-3");
    request.set_dataset(DatasetName(dataset));
    return request;
  }
  static v1::CheckDatasetRequest CheckRequest(const std::string& dataset = "photos") {
    v1::CheckDatasetRequest request;
    request.set_name(DatasetName(dataset));
    return request;
  }

  // The sentence about a wrong field of an evaluation.
  std::string Refusal(const v1::EvaluateModelRequest& request, const std::string& field) {
    const auto job = controller_->StartEvaluation(request);
    for (const FieldViolation& wrong : ViolationsOf(job.status())) {
      if (wrong.field == field) return wrong.description;
    }
    return absl::StrCat("not refused for ", field, ": ", job.status().ToString());
  }

  std::string Evaluate() {
    const auto job = controller_->StartEvaluation(EvaluationRequest());
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->name().substr(5) : "";
  }
  // An evaluation whose worker is at it.
  std::string EvaluateNow() {
    const std::string id = Evaluate();
    controller_->Tick();
    Attach(id);
    EXPECT_TRUE(Report(id, {Phase(worker::v1::PHASE_PREPARING), Phase(worker::v1::PHASE_EVALUATING),
                            Images(5)})
                    .ok());
    return id;
  }
  std::string CheckNow() {
    const auto job = controller_->StartCheck(CheckRequest());
    EXPECT_TRUE(job.ok()) << job.status();
    const std::string id = job.ok() ? job->name().substr(5) : "";
    controller_->Tick();
    Attach(id);
    EXPECT_TRUE(Report(id, {Phase(worker::v1::PHASE_PREPARING), Phase(worker::v1::PHASE_CHECKING),
                            Images(5)})
                    .ok());
    return id;
  }

  static worker::v1::WorkerEvent Images(std::int64_t images) {
    worker::v1::WorkerEvent event;
    event.mutable_step()->set_images(images);
    return event;
  }
  static worker::v1::WorkerEvent EvaluationOutcome() {
    worker::v1::WorkerEvent event;
    worker::v1::ScoringOutcome* outcome = event.mutable_scoring_outcome();
    outcome->mutable_evaluation()->set_accuracy(0.75);
    outcome->mutable_confusion_matrix()->add_class_names("shirt");
    outcome->mutable_confusion_matrix()->add_rows()->add_counts(3);
    outcome->add_predictions()->set_index(11);
    return event;
  }
  static worker::v1::WorkerEvent CheckOutcome() {
    worker::v1::WorkerEvent event;
    worker::v1::ScoringOutcome* outcome = event.mutable_scoring_outcome();
    outcome->mutable_check()->set_suspicious_count(1);
    outcome->mutable_check()->add_findings("2 images equal.");
    v1::Prediction* suspicious = outcome->add_predictions();
    suspicious->set_index(4);
    suspicious->set_predicted_class(1);
    return event;
  }
};

TEST_F(ControllerScoringTest, AnEvaluationGoesThroughItsStatesAndKeepsWhatItMeasured) {
  MakeModel();
  const std::string id = EvaluateNow();
  EXPECT_THAT(id, HasSubstr("evaluate-cnn-3-"));
  EXPECT_EQ(State(id), "EVALUATING");
  EXPECT_EQ(Message(id), "The model is being evaluated.");
  EXPECT_EQ(Get(id).progress().images(), 5);
  ASSERT_TRUE(Report(id, {EvaluationOutcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
  EXPECT_EQ(Get(id).evaluation_result().accuracy(), 0.75);
  EXPECT_FALSE(Get(id).has_spec());
  const auto matrix = controller_->GetConfusionMatrix(id);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->rows(0).counts(0), 3);
  const auto predictions = controller_->GetPredictions(id, {});
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  EXPECT_EQ(predictions->predictions(0).index(), 11);
  bool told = false;
  for (const v1::JobEvent& event : Replay(id)) told = told || event.has_evaluation_result();
  EXPECT_TRUE(told) << "the stream has the result";
}

TEST_F(ControllerScoringTest, TheVersionsOwnResultStaysAsItIs) {
  MakeModel();
  const std::string id = EvaluateNow();
  ASSERT_TRUE(Report(id, {EvaluationOutcome()}).ok());
  const auto version = store_->ResolveVersion("cnn-3", "1");
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(version->result().test_accuracy(), 0.9);
}

TEST_F(ControllerScoringTest, TheWorkerIsToldWhatToEvaluate) {
  MakeModel();
  const std::string id = Evaluate();
  controller_->Tick();
  const worker::v1::Assignment assignment = Attach(id).assignment;
  EXPECT_FALSE(assignment.has_spec());
  EXPECT_EQ(assignment.dataset_dir(), "/data/photos");
  EXPECT_EQ(assignment.evaluation().archive(), artifacts_.ArchivePath("cnn-3", 1));
  EXPECT_EQ(assignment.evaluation().temperature(), 1.5);
  EXPECT_EQ(assignment.evaluation().spec().model_version(), "models/cnn-3/versions/1");
  EXPECT_EQ(assignment.evaluation().spec().split(), v1::DATASET_SPLIT_TEST);
  EXPECT_EQ(assignment.evaluation().spec().cores(), 2);
}

TEST_F(ControllerScoringTest, ADatasetThatDoesNotFitIsRefusedWithBoth) {
  MakeModel();
  datasets_.Add("pets", Facts({"bag", "cat"}));
  const std::string classes = Refusal(EvaluationRequest("pets"), "dataset");
  EXPECT_THAT(classes, HasSubstr("'bag', 'cat'"));
  EXPECT_THAT(classes, HasSubstr("'shirt', 'bag'"));
  EXPECT_THAT(classes, HasSubstr("does not know 'cat'"));
  DatasetFacts large = Facts({"bag", "shirt"});
  large.image_shape.set_height(32);
  datasets_.Add("large", large);
  const std::string shapes = Refusal(EvaluationRequest("large"), "dataset");
  EXPECT_THAT(shapes, HasSubstr("1x32x28"));
  EXPECT_THAT(shapes, HasSubstr("1x28x28"));
  EXPECT_THAT(Refusal(EvaluationRequest("none"), "dataset"), HasSubstr("the server has"));
  v1::EvaluateModelRequest empty = EvaluationRequest();
  empty.set_split(v1::DATASET_SPLIT_VALIDATION);
  EXPECT_THAT(Refusal(empty, "split"), HasSubstr("validation split of photos has 0 images"));
  empty.set_split(static_cast<v1::DatasetSplit>(9));
  EXPECT_THAT(Refusal(empty, "split"), HasSubstr("must be training, test or validation"));
}

TEST_F(ControllerScoringTest, AModelThatIsNotThereIsNotFound) {
  EXPECT_EQ(ReasonOf(controller_->StartEvaluation(EvaluationRequest()).status()),
            "MODEL_NOT_FOUND");
}

TEST_F(ControllerScoringTest, ARepeatedRequestAnswersWithItsJob) {
  MakeModel();
  v1::EvaluateModelRequest request = EvaluationRequest();
  request.set_request_id("once");
  const auto first = controller_->StartEvaluation(request);
  ASSERT_TRUE(first.ok()) << first.status();
  datasets_.Remove("photos");
  const auto again = controller_->StartEvaluation(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
  request.set_split(v1::DATASET_SPLIT_TRAINING);
  EXPECT_EQ(ReasonOf(controller_->StartEvaluation(request).status()), "REQUEST_ID_REUSED");
}

TEST_F(ControllerScoringTest, AVersionThatIsEvaluatedIsNotDeleted) {
  MakeModel();
  const std::string id = Evaluate();
  const absl::Status refused = store_->DeleteVersion("cnn-3", 1, /*force=*/true);
  EXPECT_EQ(ReasonOf(refused), "VERSION_NEEDED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("needs it"));
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_TRUE(store_->DeleteVersion("cnn-3", 1, /*force=*/true).ok());
}

TEST_F(ControllerScoringTest, AStopReachesAnEvaluationThatRuns) {
  MakeModel();
  const std::string id = EvaluateNow();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(State(id), "STOPPING");
  EXPECT_TRUE(link_->stopped());
  ASSERT_TRUE(Report(id, {StoppedEmpty()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_THAT(Message(id), HasSubstr("before the evaluation was complete"));
}

TEST_F(ControllerScoringTest, AWorkerThatIgnoresTheStopIsEnded) {
  MakeModel();
  const std::string id = EvaluateNow();
  ASSERT_TRUE(controller_->Stop(id).ok());
  for (int i = 0; i < 100 && State(id) == "STOPPING"; ++i) {
    ASSERT_TRUE(controller_->Heartbeat(id, 1).ok());
    Pass(absl::Seconds(10));
  }
  EXPECT_EQ(State(id), "STOPPED");
}

TEST_F(ControllerScoringTest, ALostEvaluationIsTriedAgain) {
  MakeModel();
  const std::string id = EvaluateNow();
  executor_.Exit(HandleOf(id), "killed by signal 9");
  EXPECT_EQ(State(id), "QUEUED");
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(Report(id, {Phase(worker::v1::PHASE_EVALUATING), EvaluationOutcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
}

TEST_F(ControllerScoringTest, AnOutcomeOfAnotherKindFailsTheJob) {
  MakeModel();
  const std::string evaluation = EvaluateNow();
  EXPECT_EQ(ReasonOf(Report(evaluation, {CheckOutcome()}).status()), "PROTOCOL_VIOLATION");
  EXPECT_EQ(State(evaluation), "FAILED");
  executor_.Exit(HandleOf(evaluation), "exit code 0");
  const std::string check = CheckNow();
  EXPECT_EQ(ReasonOf(Report(check, {Outcome()}).status()), "PROTOCOL_VIOLATION");
  EXPECT_EQ(State(check), "FAILED");
}

TEST_F(ControllerScoringTest, ATrainingDoesNotTakeTheOutcomeOfACheck) {
  const std::string id = Train();
  EXPECT_EQ(ReasonOf(Report(id, {CheckOutcome()}).status()), "PROTOCOL_VIOLATION");
  EXPECT_EQ(State(id), "FAILED");
}

TEST_F(ControllerScoringTest, ACheckGoesThroughItsStatesAndKeepsWhatItFound) {
  const std::string id = CheckNow();
  EXPECT_THAT(id, HasSubstr("check-photos-"));
  EXPECT_EQ(State(id), "CHECKING");
  EXPECT_EQ(Get(id).check().folds(), 5);
  EXPECT_EQ(Get(id).check().split(), v1::DATASET_SPLIT_TRAINING);
  ASSERT_TRUE(Report(id, {CheckOutcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
  EXPECT_EQ(Get(id).check_result().findings(0), "2 images equal.");
  const auto suspicious = controller_->GetPredictions(id, {});
  ASSERT_TRUE(suspicious.ok()) << suspicious.status();
  EXPECT_EQ(suspicious->predictions(0).index(), 4);
}

TEST_F(ControllerScoringTest, ALostCheckIsToldWhereItsFoldsAre) {
  const std::string id = CheckNow();
  executor_.Exit(HandleOf(id), "killed by signal 9");
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_THAT(Message(id), HasSubstr("goes on with the folds that are left"));
  controller_->Tick();
  const Attachment attachment = Attach(id);
  EXPECT_EQ(attachment.assignment.attempt_dir(), "/artifacts/" + id + "/2");
  ASSERT_EQ(attachment.assignment.earlier_attempt_dirs_size(), 1);
  EXPECT_EQ(attachment.assignment.earlier_attempt_dirs(0), "/artifacts/" + id + "/1");
}

TEST_F(ControllerScoringTest, ACheckRefusesWhatItCannotCompare) {
  v1::CheckDatasetRequest request = CheckRequest();
  request.set_folds(1);
  EXPECT_EQ(ViolationsOf(controller_->StartCheck(request).status())[0].field, "folds");
  request.set_folds(21);
  EXPECT_EQ(ViolationsOf(controller_->StartCheck(request).status())[0].field, "folds");
  request.set_folds(0);
  request.set_seed(-1);
  EXPECT_EQ(ViolationsOf(controller_->StartCheck(request).status())[0].field, "seed");
  datasets_.Add("one", Facts({"bag"}));
  const absl::Status one = controller_->StartCheck(CheckRequest("one")).status();
  EXPECT_THAT(std::string(one.message()), HasSubstr("one class"));
  DatasetFacts few = Facts({"bag", "shirt"});
  few.training_images = 3;
  datasets_.Add("few", few);
  const absl::Status small = controller_->StartCheck(CheckRequest("few")).status();
  EXPECT_THAT(std::string(small.message()), HasSubstr("has 3 images; at least 5"));
}

TEST_F(ControllerScoringTest, ACheckOfADatasetWithoutTrainingImagesLooksAtItsTestImages) {
  DatasetFacts facts = Facts({"bag", "shirt"});
  facts.training_images = 0;
  datasets_.Add("tests", facts);
  const auto job = controller_->StartCheck(CheckRequest("tests"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->check().split(), v1::DATASET_SPLIT_TEST);
}

TEST_F(ControllerScoringTest, AJobOfAnotherKindIsNoModelForATraining) {
  MakeModel();
  const std::string id = Evaluate();
  v1::StartTrainingRequest request = Request();
  request.set_like(JobName(id));
  EXPECT_THAT(std::string(controller_->Start(request).status().message()),
              HasSubstr("is an evaluation; name a training"));
}

TEST_F(ControllerScoringTest, TheTrainingSplitIsCountedWithoutTheValidationImages) {
  DatasetFacts facts = Facts({"bag", "shirt"});
  facts.training_images = 10;
  facts.validation_images = 40;
  datasets_.Add("split", facts);
  EXPECT_TRUE(controller_->StartCheck(CheckRequest("split")).ok());
}

TEST_F(ControllerScoringTest, ACheckHasMemoryForItsImages) {
  DatasetFacts facts = Facts({"bag", "shirt"});
  constexpr std::int64_t kImages = 4'000'000;
  facts.training_images = kImages;
  datasets_.Add("large", facts);
  const auto job = controller_->StartCheck(CheckRequest("large"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->check().memory_bytes(), (std::int64_t{2} << 30) + kImages * (28 * 28 + 2 * 4));
}

}  // namespace
}  // namespace atelier::jobs
