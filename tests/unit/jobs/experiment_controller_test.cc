// Experiments over the real job controller and database; workers are the test.
#include "server/jobs/experiment_controller.h"

#include <gmock/gmock.h>

#include <optional>
#include <set>

#include "server/jobs/experiment_request.h"
#include "server/jobs/experiment_signal.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ExperimentControllerTest : public ControllerTest {
 protected:
  ExperimentControllerTest() { BootExperiments(); }
  ~ExperimentControllerTest() override { experiments_.reset(); }

  void BootExperiments() {
    auto created = ExperimentController::Create(experiment_options_, {.clock = &clock_,
                                                                      .experiments = store_.get(),
                                                                      .jobs = controller_.get(),
                                                                      .resolver = resolver_.get()});
    ASSERT_TRUE(created.ok()) << created.status();
    experiments_ = *std::move(created);
  }

  // Ends the server as a kill would, and starts another.
  void Restart() {
    experiments_.reset();
    Boot();
    BootExperiments();
  }

  // Two networks with two seeds.
  static v1::StartExperimentRequest Question() {
    v1::StartExperimentRequest request;
    request.set_base_name("depth");
    request.add_configurations()->set_preset("dense");
    request.add_configurations()->set_preset("cnn-1");
    request.add_seeds(1);
    request.add_seeds(2);
    return request;
  }

  std::string StartExperiment(const v1::StartExperimentRequest& request = Question()) {
    auto experiment = experiments_->Start(request);
    EXPECT_TRUE(experiment.ok()) << experiment.status();
    return experiment.ok() ? experiment->name().substr(sizeof("experiments/") - 1) : "";
  }

  v1::Experiment Look(const std::string& id) {
    auto experiment = experiments_->Get(id);
    EXPECT_TRUE(experiment.ok()) << experiment.status();
    return experiment.ok() ? *experiment : v1::Experiment();
  }
  std::string States(const std::string& id) {
    std::string states;
    const v1::Experiment experiment = Look(id);
    for (const v1::ExperimentRun& run : experiment.runs()) {
      states += v1::RunState_Name(run.state()).substr(sizeof("RUN_STATE_") - 1, 1);
    }
    return states;  // W(aiting), Q(ueued), R(unning), C(ompleted), F(ailed), S(topped), D.
  }
  std::string JobOf(const std::string& id, int run) {
    return Look(id).runs(run).job().substr(sizeof("jobs/") - 1);
  }

  // Brings a run's job, which is the next to start, to its end.
  void Complete(const std::string& job) {
    controller_->Tick();
    Attach(job);
    ASSERT_TRUE(Report(job, {Phase(worker::v1::PHASE_PREPARING), Phase(worker::v1::PHASE_TRAINING),
                             Epoch(1), Phase(worker::v1::PHASE_EVALUATING),
                             Phase(worker::v1::PHASE_STORING), Outcome()})
                    .ok());
    executor_.Exit(HandleOf(job), "exit");
  }

  // All jobs there are, oldest first.
  std::vector<v1::TrainingJob> Jobs() {
    v1::ListJobsRequest request;
    request.set_page_size(1000);
    auto jobs = controller_->List(request);
    return {jobs->jobs().rbegin(), jobs->jobs().rend()};
  }

  ExperimentController::Options experiment_options_;
  std::unique_ptr<ExperimentController> experiments_;
};

TEST_F(ExperimentControllerTest, RunsAllConfigurationsWithEverySeedAndEnds) {
  const std::string id = StartExperiment();
  EXPECT_EQ(id.substr(0, 6), "depth-");
  EXPECT_EQ(States(id), "WWWW");
  experiments_->Tick();
  EXPECT_EQ(States(id), "QQWW");
  for (int run = 0; run < 4; ++run) {
    Complete(JobOf(id, run));
    experiments_->Tick();
  }
  const v1::Experiment ended = Look(id);
  EXPECT_EQ(ended.state(), v1::EXPERIMENT_STATE_COMPLETED);
  EXPECT_TRUE(ended.has_end_time());
  EXPECT_EQ(States(id), "CCCC");
  ASSERT_THAT(ended.run_counts(), SizeIs(1));
  EXPECT_EQ(ended.run_counts(0).count(), 4);
  std::set<std::pair<std::string, std::int64_t>> trained;
  for (const v1::TrainingJob& job : Jobs()) {
    trained.emplace(job.spec().preset(), job.spec().seed());
  }
  EXPECT_THAT(trained, ElementsAre(std::pair("cnn-1", 1), std::pair("cnn-1", 2),
                                   std::pair("dense", 1), std::pair("dense", 2)));
  EXPECT_DOUBLE_EQ(ended.runs(3).result().test_accuracy(), 0.9);
}

TEST_F(ExperimentControllerTest, RunsWhoseConfigurationTheDatabaseLacksFail) {
  const std::string id = StartExperiment();
  auto record = *store_->LoadExperiment(id);
  record.experiment.mutable_configurations()->RemoveLast();
  ASSERT_TRUE(store_->CommitExperiment(record, std::nullopt).ok());
  experiments_->Tick();
  EXPECT_EQ(States(id), "QFQW");
  EXPECT_THAT(Look(id).runs(1).message(), HasSubstr("no configuration 1"));
}

TEST_F(ExperimentControllerTest, RunsThatWaitAreNotInTheQueue) {
  v1::StartExperimentRequest request = Question();
  for (int seed = 3; seed <= 300; ++seed) request.add_seeds(seed);
  const std::string id = StartExperiment(request);
  experiments_->Tick();
  EXPECT_EQ(controller_->Load().queued, 2);
  Start();  // Somebody else finds room, and is not behind all of the experiment.
  controller_->Tick();
  experiments_->Tick();
  EXPECT_EQ(controller_->Load().queued, 3);
  EXPECT_EQ(Jobs().size(), 4);
}

TEST_F(ExperimentControllerTest, WaitsWhileTheQueueIsFull) {
  for (int i = 0; i < 3; ++i) Start();
  const std::string id = StartExperiment();
  EXPECT_EQ(experiments_->Tick(), experiment_options_.retry_delay);
  EXPECT_EQ(States(id), "WWWW");
  EXPECT_THAT(logged_, IsEmpty());
  controller_->Tick();  // One leaves the queue.
  experiments_->Tick();
  EXPECT_EQ(States(id), "QWWW");
}

TEST_F(ExperimentControllerTest, SurvivesAKillAtAnyMomentWithoutLosingOrRepeatingARun) {
  const std::string id = StartExperiment();
  Restart();
  experiments_->Tick();
  Restart();
  experiments_->Tick();
  for (int run = 0; run < 4; ++run) {
    Restart();
    Complete(JobOf(id, run));
    Restart();
    experiments_->Tick();
    Restart();
    experiments_->Tick();
  }
  EXPECT_EQ(Look(id).state(), v1::EXPERIMENT_STATE_COMPLETED);
  EXPECT_EQ(Jobs().size(), 4);
}

TEST_F(ExperimentControllerTest, ARunHasItsJobFromTheMomentTheJobIsStored) {
  const std::string id = StartExperiment();
  const std::string request_id = store_->ReadRuns(id)->at(0).request_id;
  v1::StartTrainingRequest request = Request();
  request.set_request_id(request_id);
  const std::string job = Start(request);  // As Tick does; the server is killed right after it.
  Restart();
  EXPECT_EQ(JobOf(id, 0), job);
  experiments_->Tick();
  EXPECT_EQ(Jobs().size(), 2);
}

TEST_F(ExperimentControllerTest, StopDropsWhatWaitsAndStopsWhatRuns) {
  const std::string id = StartExperiment();
  experiments_->Tick();
  controller_->Tick();
  Attach(JobOf(id, 0));
  EXPECT_EQ(experiments_->Stop(id)->state(), v1::EXPERIMENT_STATE_STOPPING);
  EXPECT_EQ(States(id), "RQDD");
  Restart();
  experiments_->Tick();
  EXPECT_EQ(States(id), "RSDD");
  EXPECT_EQ(Look(id).state(), v1::EXPERIMENT_STATE_STOPPING);
  EXPECT_TRUE(Attach(JobOf(id, 0)).stop);
  ASSERT_TRUE(Report(JobOf(id, 0), {StoppedEmpty()}).ok());
  experiments_->Tick();
  EXPECT_EQ(States(id), "SSDD");
  EXPECT_EQ(Look(id).state(), v1::EXPERIMENT_STATE_STOPPED);
  EXPECT_EQ(experiments_->Stop(id)->state(), v1::EXPERIMENT_STATE_STOPPED);
  experiments_->Tick();
  EXPECT_EQ(Jobs().size(), 2);
}

TEST_F(ExperimentControllerTest, ACompletedExperimentCannotBeStopped) {
  v1::StartExperimentRequest request;
  request.add_configurations()->set_preset("dense");
  const std::string id = StartExperiment(request);
  experiments_->Tick();
  Complete(JobOf(id, 0));
  experiments_->Tick();
  EXPECT_EQ(ReasonOf(experiments_->Stop(id).status()), "EXPERIMENT_ENDED");
  EXPECT_EQ(ReasonOf(experiments_->Stop("none-1").status()), "EXPERIMENT_NOT_FOUND");
}

TEST_F(ExperimentControllerTest, DeletesWhatHasEndedAndKeepsTheJobs) {
  v1::StartExperimentRequest request;
  request.add_configurations()->set_preset("dense");
  const std::string id = StartExperiment(request);
  EXPECT_EQ(ReasonOf(experiments_->Delete(id)), "EXPERIMENT_NOT_ENDED");
  experiments_->Tick();
  const std::string job = JobOf(id, 0);
  Complete(job);
  experiments_->Tick();
  EXPECT_TRUE(experiments_->Delete(id).ok());
  EXPECT_EQ(ReasonOf(experiments_->Get(id).status()), "EXPERIMENT_NOT_FOUND");
  EXPECT_EQ(State(job), "COMPLETED");
  EXPECT_NE(StartExperiment(request), id) << "an id was used twice";
}

TEST_F(ExperimentControllerTest, ADeletedJobIsShownAsDeletedAndNotRunAgain) {
  const std::string id = StartExperiment();
  experiments_->Tick();
  const std::string job = JobOf(id, 0);
  Complete(job);
  ASSERT_TRUE(controller_->Delete(job).ok());
  experiments_->Tick();
  EXPECT_EQ(Look(id).runs(0).state(), v1::RUN_STATE_DELETED);
  EXPECT_FALSE(Look(id).runs(0).has_result());
  Restart();
  experiments_->Tick();
  EXPECT_EQ(Look(id).runs(0).state(), v1::RUN_STATE_DELETED);
}

TEST_F(ExperimentControllerTest, ARunThatCanNoLongerBeStartedFailsAndTheOthersGoOn) {
  datasets_.Add("shoes", {.class_count = 2,
                          .class_names = {"a", "b"},
                          .image_shape = {},
                          .training_images = 1000,
                          .problem = ""});
  v1::StartExperimentRequest request;
  request.add_configurations()->set_preset("dense");
  request.add_configurations()->set_preset("cnn-1");
  request.mutable_configurations(0)->set_dataset("shoes");
  const std::string id = StartExperiment(request);
  datasets_.Remove("shoes");
  experiments_->Tick();
  EXPECT_EQ(States(id), "FQ");
  EXPECT_THAT(Look(id).runs(0).message(), HasSubstr("shoes"));
  EXPECT_EQ(Look(id).runs(0).job(), "");
}

TEST_F(ExperimentControllerTest, RepeatedRequestStartsNothingTwice) {
  v1::StartExperimentRequest request = Question();
  request.set_request_id("once");
  const std::string id = StartExperiment(request);
  Restart();
  EXPECT_EQ(StartExperiment(request), id);
  request.add_seeds(3);
  EXPECT_EQ(ReasonOf(experiments_->Start(request).status()), "REQUEST_ID_REUSED");
}

TEST_F(ExperimentControllerTest, RepeatOfADeletedExperimentsRequestStartsNothing) {
  v1::StartExperimentRequest request = Question();
  request.set_request_id("once");
  const std::string id = StartExperiment(request);
  datasets_.Remove("fashion-mnist");
  EXPECT_EQ(StartExperiment(request), id);  // Whatever has become of what it names.
  ASSERT_TRUE(experiments_->Stop(id).ok());
  experiments_->Tick();
  ASSERT_TRUE(experiments_->Delete(id).ok());
  EXPECT_EQ(ReasonOf(experiments_->Start(request).status()), "EXPERIMENT_DELETED");
}

TEST_F(ExperimentControllerTest, ListsNewestFirstWithCounts) {
  const std::string first = StartExperiment();
  experiments_->Tick();
  const std::string second = StartExperiment();
  v1::ListExperimentsRequest request;
  request.set_page_size(1);
  auto page = experiments_->List(request);
  ASSERT_THAT(page->experiments(), SizeIs(1));
  EXPECT_EQ(page->experiments(0).name(), "experiments/" + second);
  request.set_page_token(page->next_page_token());
  page = experiments_->List(request);
  ASSERT_THAT(page->experiments(), SizeIs(1));
  EXPECT_EQ(page->experiments(0).name(), "experiments/" + first);
  EXPECT_THAT(page->experiments(0).runs(), IsEmpty());
  ASSERT_THAT(page->experiments(0).run_counts(), SizeIs(2));
  EXPECT_EQ(page->experiments(0).run_counts(0).state(), v1::RUN_STATE_WAITING);
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(ExperimentControllerTest, WatchersAreWokenByWhatChangesAndByTheEnd) {
  v1::StartExperimentRequest request;
  request.add_configurations()->set_preset("dense");
  const std::string id = StartExperiment(request);
  int woken = 0;
  const auto subscribe = [&] {
    const auto view = experiments_->Look(id);
    return experiments_->Subscribe(id, view->version, [&woken] { ++woken; });
  };
  ASSERT_TRUE(subscribe().has_value());
  experiments_->Tick();
  EXPECT_EQ(woken, 1);
  ASSERT_TRUE(subscribe().has_value());
  experiments_->Tick();
  EXPECT_EQ(woken, 1) << "nothing had changed";
  Complete(JobOf(id, 0));
  experiments_->Tick();
  EXPECT_EQ(woken, 2);
  EXPECT_FALSE(subscribe().has_value());
  EXPECT_EQ(experiments_->Look(id)->experiment.state(), v1::EXPERIMENT_STATE_COMPLETED);
}

TEST_F(ExperimentControllerTest, AWakeUpCanBeTakenBack) {
  const std::string id = StartExperiment();
  const auto view = experiments_->Look(id);
  int woken = 0;
  const auto subscription = experiments_->Subscribe(id, view->version, [&woken] { ++woken; });
  ASSERT_TRUE(subscription.has_value());
  EXPECT_TRUE(experiments_->Unsubscribe(id, *subscription));
  experiments_->Tick();
  EXPECT_EQ(woken, 0);
  EXPECT_FALSE(experiments_->Unsubscribe(id, *subscription));
}

TEST_F(ExperimentControllerTest, TellsTheNewestEpochOfWhatTrains) {
  const std::string id = StartExperiment();
  experiments_->Tick();
  controller_->Tick();
  const std::string job = JobOf(id, 0);
  Attach(job);
  ASSERT_TRUE(Report(job, {Phase(worker::v1::PHASE_PREPARING), Phase(worker::v1::PHASE_TRAINING),
                           Epoch(1), Resources(), Epoch(2), Step(3, 1)})
                  .ok());
  const v1::ExperimentRun run = Look(id).runs(0);
  EXPECT_EQ(run.state(), v1::RUN_STATE_RUNNING);
  EXPECT_EQ(run.latest_epoch().epoch(), 2);
  EXPECT_EQ(run.progress().epoch(), 3);
}

TEST_F(ExperimentControllerTest, TooManyExperimentsAreRefused) {
  experiment_options_.max_unended = 1;
  Restart();
  StartExperiment();
  EXPECT_EQ(ReasonOf(experiments_->Start(Question()).status()), "TOO_MANY_EXPERIMENTS");
}

class ExperimentRequestTest : public ExperimentControllerTest {
 protected:
  // The descriptions of the wrong fields, by field.
  std::map<std::string, std::string> Wrong(const v1::StartExperimentRequest& request) {
    const auto experiment = experiments_->Start(request);
    EXPECT_TRUE(absl::IsInvalidArgument(experiment.status())) << experiment.status();
    std::map<std::string, std::string> wrong;
    for (const auto& violation : ViolationsOf(experiment.status())) {
      wrong[violation.field] = violation.description;
    }
    return wrong;
  }
};

TEST_F(ExperimentRequestTest, NamesEveryWrongFieldOfEveryConfiguration) {
  v1::StartExperimentRequest request = Question();
  request.mutable_configurations(0)->set_epochs(0);
  request.mutable_configurations(1)->set_conv_depth(3);
  request.add_configurations()->set_preset("resnet-1000");
  const auto wrong = Wrong(request);
  EXPECT_THAT(wrong.at("configurations[0].epochs"), HasSubstr("1 to 10000"));
  EXPECT_THAT(wrong.at("configurations[1].conv_depth"), HasSubstr("cnn-1"));
  EXPECT_THAT(wrong.at("configurations[2].preset"), HasSubstr("resnet-1000"));
  EXPECT_EQ(wrong.size(), 3);
}

TEST_F(ExperimentRequestTest, RefusesNothingAndTooMuch) {
  EXPECT_TRUE(Wrong({}).contains("configurations"));
  v1::StartExperimentRequest request = Question();
  request.clear_seeds();
  for (int seed = 0; seed < 501; ++seed) request.add_seeds(seed);
  EXPECT_THAT(Wrong(request).at("configurations"), HasSubstr("1002 runs"));
}

TEST_F(ExperimentRequestTest, RefusesWhatIsThereTwice) {
  v1::StartExperimentRequest request = Question();
  request.add_seeds(1);
  request.mutable_configurations(0)->set_preset("cnn-1");
  request.mutable_configurations(0)->set_epochs(20);  // As the default has it.
  const auto wrong = Wrong(request);
  EXPECT_TRUE(wrong.contains("seeds"));
  EXPECT_THAT(wrong.at("configurations[1]"), HasSubstr("the same as 0"));
}

TEST_F(ExperimentRequestTest, SeedsStandInTheirOwnField) {
  v1::StartExperimentRequest request = Question();
  request.mutable_configurations(1)->set_seed(4);
  EXPECT_TRUE(Wrong(request).contains("configurations[1].seed"));
}

TEST_F(ExperimentRequestTest, NamesAreCheckedOnce) {
  v1::StartExperimentRequest request = Question();
  request.set_base_name("No Name");
  request.set_request_id("no id");
  const auto wrong = Wrong(request);
  EXPECT_EQ(wrong.size(), 2);
  EXPECT_TRUE(wrong.contains("base_name"));
  EXPECT_TRUE(wrong.contains("request_id"));
}

TEST(ExperimentSignalTest, KicksWhenAJobChangesAndWhenItsEpochEnds) {
  ExperimentSignal signal;
  int kicked = 0;
  signal.SetKick([&kicked] { ++kicked; });
  v1::JobEvent step;
  step.mutable_step();
  signal.Stored({}, {step});
  EXPECT_EQ(kicked, 0);
  v1::JobEvent epoch;
  epoch.mutable_epoch();
  signal.Stored({}, {step, epoch});
  EXPECT_EQ(kicked, 1);
  signal.Deleted({});
  EXPECT_EQ(kicked, 2);
}

}  // namespace
}  // namespace atelier::jobs
