// JobController: imports and pushed data sets.
#include "gmock/gmock.h"
#include "server/jobs/error.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using testing::HasSubstr;

const char* const kUploadId = "0123456789abcdef0123456789abcdef";

class ControllerImportsTest : public ControllerTest {
 protected:
  static v1::Upload Upload(const std::string& dataset = "digits") {
    v1::Upload upload;
    upload.set_name(UploadName(kUploadId));
    upload.set_dataset(DatasetName(dataset));
    upload.set_size_bytes(1000);
    upload.set_sha256("abc");
    upload.set_source_name("pictures");
    return upload;
  }

  std::string StartImport(const v1::ImportDatasetRequest& request = {},
                          const std::string& dataset = "digits") {
    const auto job = controller_->StartImport(request, Upload(dataset));
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->name().substr(5) : "";
  }

  // An import whose worker is at it.
  std::string Import(const std::string& dataset = "digits") {
    const std::string id = StartImport({}, dataset);
    controller_->Tick();
    Attach(id);
    EXPECT_TRUE(Report(id, {Phase(worker::v1::PHASE_IMPORTING), Images(5)}).ok());
    return id;
  }

  // Makes a version of a data set.
  void Push(const std::string& dataset = "digits") {
    const std::string id = Import(dataset);
    EXPECT_TRUE(Report(id, {ImportOutcome()}).ok());
    executor_.Exit(HandleOf(id), "exit code 0");
    controller_->Tick();
  }

  static worker::v1::WorkerEvent Images(std::int64_t images) {
    worker::v1::WorkerEvent event;
    event.mutable_step()->set_images(images);
    return event;
  }
  static worker::v1::WorkerEvent ImportOutcome(std::int64_t bytes = 100) {
    worker::v1::WorkerEvent event;
    worker::v1::ImportOutcome* outcome = event.mutable_import_outcome();
    outcome->mutable_result()->set_training_images(8);
    outcome->mutable_result()->set_unreadable_count(2);
    outcome->mutable_dataset()->set_training_images(8);
    outcome->mutable_dataset()->set_size_bytes(bytes);
    outcome->mutable_dataset()->mutable_source()->set_format("a folder per class, PNG");
    outcome->set_file("packed.dataset");
    outcome->set_size_bytes(bytes);
    return event;
  }
};

TEST_F(ControllerImportsTest, AnImportGoesThroughItsStatesToAVersion) {
  const std::string id = Import();
  EXPECT_EQ(State(id), "IMPORTING");
  EXPECT_EQ(Get(id).progress().images(), 5);
  ASSERT_TRUE(Report(id, {Phase(worker::v1::PHASE_STORING), ImportOutcome()}).ok());
  const v1::TrainingJob job = Get(id);
  EXPECT_EQ(State(id), "COMPLETED");
  EXPECT_EQ(job.import_result().dataset_version(), "datasets/digits/versions/1");
  EXPECT_TRUE(artifacts_.Did(absl::StrCat("publish ", id, " as digits@1")));
  const auto dataset = store_->FindDataset({"digits"});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->source().format(), "a folder per class, PNG");
  EXPECT_EQ(dataset->source().sha256(), "abc");
  EXPECT_EQ(dataset->job(), job.name());
  EXPECT_EQ(dataset->unreadable_count(), 2);
  EXPECT_TRUE(Replay(id).rbegin()->has_transition());
}

TEST_F(ControllerImportsTest, TheWorkerIsToldWhatToImport) {
  options_.dataset_space = 5000;
  Boot();
  Push();
  const std::string id = StartImport();
  controller_->Tick();
  const worker::v1::Assignment assignment = Attach(id).assignment;
  EXPECT_FALSE(assignment.has_spec());
  EXPECT_EQ(assignment.import().source(),
            absl::StrCat("/artifacts/uploads/", kUploadId, "/content"));
  EXPECT_EQ(assignment.import().spec().source_name(), "pictures");
  EXPECT_EQ(assignment.import().spec().options().fit(), v1::IMPORT_FIT_PAD)
      << "defaults are filled";
  EXPECT_EQ(assignment.import().max_bytes(), 4900);
}

TEST_F(ControllerImportsTest, RefusesWrongOptionsNamingAll) {
  v1::ImportDatasetRequest request;
  request.mutable_options()->set_height(600);
  request.mutable_options()->set_test_fraction(0.7);
  request.mutable_options()->add_class_names("a");
  const absl::Status status = controller_->StartImport(request, Upload()).status();
  std::vector<std::string> fields;
  for (const FieldViolation& wrong : ViolationsOf(status)) fields.push_back(wrong.field);
  EXPECT_THAT(fields, testing::ElementsAre("options.height", "options.class_names",
                                           "options.test_fraction"));
}

TEST_F(ControllerImportsTest, TheSameImportIsNotStartedTwice) {
  const std::string id = StartImport();
  EXPECT_EQ(StartImport(), id);
  v1::ImportDatasetRequest other;
  other.mutable_options()->set_invert(true);
  EXPECT_NE(StartImport(other), id);
}

TEST_F(ControllerImportsTest, ARequestIdAnswersWithItsJobAfterTheEnd) {
  v1::ImportDatasetRequest request;
  request.set_request_id("once");
  const std::string id = StartImport(request);
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(StartImport(request), id);
  request.mutable_options()->set_invert(true);
  EXPECT_EQ(ReasonOf(controller_->StartImport(request, Upload()).status()), "REQUEST_ID_REUSED");
}

TEST_F(ControllerImportsTest, AStoppedImportKeepsNothing) {
  const std::string id = Import();
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_EQ(State(id), "STOPPING");
  EXPECT_THAT(Message(id), HasSubstr("no data set is made"));
  ASSERT_TRUE(Report(id, {StoppedEmpty()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_THAT(Message(id), HasSubstr("before the data set was complete"));
  EXPECT_FALSE(store_->FindDataset({"digits"}).ok());
}

TEST_F(ControllerImportsTest, AnOutcomeThatComesAfterTheStopIsNotKept) {
  const std::string id = Import();
  ASSERT_TRUE(controller_->Stop(id).ok());
  ASSERT_TRUE(Report(id, {ImportOutcome()}).ok());
  EXPECT_EQ(State(id), "STOPPED");
  EXPECT_FALSE(store_->FindDataset({"digits"}).ok());
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did("remove data set digits@1"));
}

TEST_F(ControllerImportsTest, AnImportHasTheCoresAndMemoryThatAreAskedFor) {
  v1::ImportDatasetRequest request;
  const std::string usual = StartImport(request);
  EXPECT_EQ(Get(usual).import().cores(), 2);
  EXPECT_EQ(Get(usual).import().memory_bytes(), std::int64_t{2} << 30);
  request.mutable_options()->set_seed(1);  // Else it is the same import.
  request.set_cores(1);
  request.set_memory_bytes(std::int64_t{512} << 20);
  const std::string small = StartImport(request);
  EXPECT_EQ(Get(small).import().cores(), 1);
  EXPECT_EQ(Get(small).import().memory_bytes(), std::int64_t{512} << 20);
}

TEST_F(ControllerImportsTest, AnImportThatAsksForMoreThanThereIsNamesAllOfIt) {
  v1::ImportDatasetRequest request;
  request.set_cores(3);
  request.set_memory_bytes(1);
  request.mutable_options()->set_height(-1);
  std::vector<std::string> wrong;
  for (const auto& violation :
       ViolationsOf(controller_->StartImport(request, Upload("digits")).status())) {
    wrong.push_back(violation.field);
  }
  EXPECT_THAT(wrong, testing::UnorderedElementsAre("options.height", "cores", "memory_bytes"));
}

TEST_F(ControllerImportsTest, ALostImportIsTriedAgain) {
  const std::string id = Import();
  executor_.Exit(HandleOf(id), "killed by signal 9");
  EXPECT_EQ(State(id), "QUEUED");
  EXPECT_EQ(Reason(id), "WORKER_LOST");
  controller_->Tick();
  Attach(id);
  ASSERT_TRUE(Report(id, {Phase(worker::v1::PHASE_IMPORTING), ImportOutcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
}

TEST_F(ControllerImportsTest, AnImportSurvivesARestartOfTheServer) {
  const std::string id = Import();
  Boot();
  EXPECT_EQ(State(id), "IMPORTING");
  Attach(id);
  ASSERT_TRUE(Report(id, {ImportOutcome()}).ok());
  EXPECT_EQ(State(id), "COMPLETED");
}

TEST_F(ControllerImportsTest, ADatasetThatDoesNotFitFailsTheImport) {
  options_.dataset_space = 150;
  Boot();
  Push();
  const std::string id = Import("letters");
  ASSERT_TRUE(Report(id, {ImportOutcome(60)}).ok());
  EXPECT_EQ(State(id), "FAILED");
  EXPECT_EQ(Reason(id), "DATASET_SPACE");
  EXPECT_FALSE(store_->FindDataset({"letters"}).ok());
  controller_->Tick();
  EXPECT_TRUE(artifacts_.Did("remove data set letters@1"));
}

TEST_F(ControllerImportsTest, TheOutcomeOfATrainingFailsAnImport) {
  const std::string id = Import();
  EXPECT_EQ(ReasonOf(Report(id, {Outcome()}).status()), "PROTOCOL_VIOLATION");
  EXPECT_EQ(State(id), "FAILED");
}

TEST_F(ControllerImportsTest, APhaseOfATrainingFailsAnImport) {
  const std::string id = Import();
  EXPECT_FALSE(Report(id, {Phase(worker::v1::PHASE_TRAINING)}).ok());
  EXPECT_EQ(State(id), "FAILED");
}

class ControllerDatasetsTest : public ControllerImportsTest {
 protected:
  ControllerDatasetsTest() {
    Push();
    Push();
    for (const int version : {1, 2}) {
      datasets_.Add(absl::StrCat("digits@", version),
                    {.class_count = 10, .training_images = 60'000});
    }
  }
  static v1::StartTrainingRequest On(const std::string& dataset) {
    v1::StartTrainingRequest request = Request();
    request.mutable_spec()->set_dataset(dataset);
    return request;
  }
};

TEST_F(ControllerDatasetsTest, DeletesRowAndFiles) {
  ASSERT_TRUE(controller_->DeleteDataset({"digits", 1}, false).ok());
  EXPECT_TRUE(artifacts_.Did("remove data set digits@1"));
  EXPECT_EQ(store_->FindDataset({"digits"})->versions_size(), 1);
}

TEST_F(ControllerDatasetsTest, KeepsWhatAJobNeedsUntilItHasEnded) {
  const std::string id = Start(On("digits@1"));
  const absl::Status status = controller_->DeleteDataset({"digits", 1}, false);
  EXPECT_EQ(ReasonOf(status), "DATASET_IN_USE");
  EXPECT_THAT(std::string(status.message()), HasSubstr(id));
  EXPECT_EQ(ReasonOf(controller_->DeleteDataset({"digits"}, true)), "DATASET_IN_USE");
  EXPECT_TRUE(controller_->DeleteDataset({"digits", 2}, false).ok());
  ASSERT_TRUE(controller_->Stop(id).ok());
  EXPECT_TRUE(controller_->DeleteDataset({"digits", 1}, false).ok());
}

TEST_F(ControllerDatasetsTest, AStartRemovesFilesThatNobodyKnows) {
  const std::string id = Import("letters");
  store_->ReserveDatasetVersion("letters").IgnoreError();
  Boot();
  EXPECT_TRUE(artifacts_.Did("remove data sets but digits@1 digits@2"));
}

}  // namespace
}  // namespace atelier::jobs
