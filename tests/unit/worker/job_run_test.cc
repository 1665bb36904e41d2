// The run of a job, on real images, with its events collected in place of a session.
#include "server/worker/job_run.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/model_archive.h"
#include "server/worker/failure_event.h"
#include "tests/unit/worker/small_job.h"

namespace atelier::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// A run that has ended.
struct Told {
  std::vector<v1::WorkerEvent> events;

  std::vector<v1::Phase> Phases() const {
    std::vector<v1::Phase> phases;
    for (const v1::WorkerEvent& event : events) {
      if (event.event_case() == v1::WorkerEvent::kPhase) phases.push_back(event.phase());
    }
    return phases;
  }
  std::vector<int> Epochs() const {
    std::vector<int> epochs;
    for (const v1::WorkerEvent& event : events) {
      if (event.has_epoch()) epochs.push_back(event.epoch().epoch());
    }
    return epochs;
  }
  const v1::WorkerEvent& Last() const { return events.back(); }
  // Index of the first event of a kind; the number of events if there is none.
  std::size_t IndexOf(v1::WorkerEvent::EventCase kind) const {
    std::size_t i = 0;
    while (i < events.size() && events[i].event_case() != kind) ++i;
    return i;
  }
};

// Runs an assignment; `watch` sees every event as it is told and may ask the run to end.
Told RunJob(const v1::Assignment& assignment,
            const std::function<void(const v1::WorkerEvent&, JobRun*)>& watch = {}) {
  Told told;
  JobRun* self = nullptr;
  JobRun run([&](v1::WorkerEvent event) {
    told.events.push_back(event);
    if (watch) watch(event, self);
  });
  self = &run;
  EXPECT_TRUE(run.Run(assignment).ok());
  return told;
}

TEST(JobRunTest, TrainsScoresAndStores) {
  const SmallJob job;
  const Told told = RunJob(job.Assignment());
  EXPECT_THAT(told.Phases(), ElementsAre(v1::PHASE_PREPARING, v1::PHASE_TRAINING,
                                         v1::PHASE_EVALUATING, v1::PHASE_STORING));
  EXPECT_THAT(told.Epochs(), ElementsAre(1, 2, 3));
  ASSERT_TRUE(told.Last().has_outcome()) << told.Last().ShortDebugString();
  const v1::Outcome& outcome = told.Last().outcome();
  EXPECT_GT(outcome.result().test_accuracy(), 0.4);
  EXPECT_EQ(outcome.result().parameter_count(), 109386);
  EXPECT_EQ(outcome.result().epochs_trained(), 3);
  EXPECT_FALSE(outcome.result().stopped_early());
  EXPECT_GT(outcome.result().training_seconds(), 0);
  EXPECT_THAT(outcome.image_shape(), ElementsAre(1, 28, 28));
  EXPECT_EQ(outcome.predictions_size(), SmallJob::kTestImages);

  std::int64_t images = 0, right = 0;
  const atelier::v1::ConfusionMatrix& matrix = outcome.confusion_matrix();
  ASSERT_EQ(matrix.rows_size(), 10);
  ASSERT_EQ(matrix.class_names_size(), 10);
  ASSERT_EQ(matrix.class_metrics_size(), 10);
  for (int row = 0; row < 10; ++row) {
    for (std::int64_t count : matrix.rows(row).counts()) images += count;
    right += matrix.rows(row).counts(row);
  }
  EXPECT_EQ(images, SmallJob::kTestImages);
  EXPECT_DOUBLE_EQ(static_cast<double>(right) / SmallJob::kTestImages,
                   outcome.result().test_accuracy());

  EXPECT_GT(outcome.result().test_top5_accuracy(), outcome.result().test_accuracy());
  EXPECT_GT(outcome.result().test_macro_f1(), 0.3);
  EXPECT_GT(outcome.result().test_weighted_f1(), 0.3);
  EXPECT_GT(outcome.result().temperature(), 0.05);
  EXPECT_TRUE(outcome.result().has_validation_ece());
  EXPECT_TRUE(outcome.result().has_calibrated_validation_ece());
  for (const auto& [bins, ece] :
       {std::pair(matrix.reliability(), outcome.result().test_ece()),
        std::pair(matrix.calibrated_reliability(), outcome.result().calibrated_test_ece())}) {
    ASSERT_EQ(bins.size(), 15);
    std::int64_t binned = 0;
    double error = 0;
    for (const auto& bin : bins) {
      binned += bin.images();
      error += std::abs(bin.accuracy() - bin.confidence()) * static_cast<double>(bin.images());
    }
    EXPECT_EQ(binned, SmallJob::kTestImages);
    EXPECT_NEAR(error / SmallJob::kTestImages, ece, 1e-9);
  }

  const std::string path = job.attempt_dir(1) + "/" + outcome.archive();
  EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path)), outcome.size_bytes());
  EXPECT_EQ(outcome.sha256().size(), 64u);
  const auto archive = models::ReadModelArchive(path);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT(archive->metadata_json, HasSubstr("jobs/small"));
  EXPECT_EQ(archive->temperature, outcome.result().temperature());
  EXPECT_EQ(outcome.result().dataset_checksum().size(), 64u);
  EXPECT_THAT(archive->metadata_json, HasSubstr(outcome.result().dataset_checksum()));
}

TEST(JobRunTest, TellsStepsAndCheckpoints) {
  const SmallJob job;
  const Told told = RunJob(job.Assignment());
  const std::size_t step = told.IndexOf(v1::WorkerEvent::kStep);
  ASSERT_LT(step, told.events.size());
  const atelier::v1::Progress& progress = told.events[step].step();
  EXPECT_EQ(progress.epoch(), 1);
  EXPECT_EQ(progress.step(), 1);
  EXPECT_EQ(progress.epochs(), 3);
  EXPECT_EQ(progress.steps_per_epoch(), 18);
  EXPECT_GT(progress.images_per_second(), 0);
  EXPECT_TRUE(progress.has_time_left());
  const std::size_t checkpoint = told.IndexOf(v1::WorkerEvent::kCheckpoint);
  ASSERT_LT(checkpoint, told.events.size());
  EXPECT_EQ(told.events[checkpoint].checkpoint().epoch(), 1);
  EXPECT_GT(told.events[checkpoint].checkpoint().size_bytes(), 100000);
}

TEST(JobRunTest, KeepsTheDataForTheNext) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  assignment.set_dataset_cache_dir(job.dataset_dir() + "-cache");
  const Told first = RunJob(assignment);
  EXPECT_FALSE(std::filesystem::is_empty(assignment.dataset_cache_dir()));
  // From the cache the same comes of it.
  v1::Assignment again = job.Assignment(2);
  again.clear_earlier_attempt_dirs();
  again.set_dataset_cache_dir(assignment.dataset_cache_dir());
  const Told second = RunJob(again);
  EXPECT_EQ(second.Last().outcome().result().test_loss(),
            first.Last().outcome().result().test_loss());
  // It is no more than a convenience.
  std::filesystem::remove_all(assignment.dataset_cache_dir());
  std::ofstream(assignment.dataset_cache_dir()) << "in the way";
  v1::Assignment without = job.Assignment(3);
  without.clear_earlier_attempt_dirs();
  without.set_dataset_cache_dir(assignment.dataset_cache_dir());
  EXPECT_TRUE(RunJob(without).Last().has_outcome());
}

TEST(JobRunTest, FailsOnBadData) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  std::filesystem::resize_file(job.dataset_dir() + "/train-images-idx3-ubyte", 5000);
  const Told told = RunJob(assignment);
  EXPECT_THAT(told.Phases(), ElementsAre(v1::PHASE_PREPARING));
  EXPECT_EQ(told.Last().failure().reason(), "BAD_DATA");
  EXPECT_THAT(told.Last().failure().message(), HasSubstr("train-images-idx3-ubyte"));
}

TEST(JobRunTest, FailsOnASpecificationThatDoesNotFitTheData) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  assignment.mutable_spec()->set_batch_size(901);
  EXPECT_EQ(RunJob(assignment).Last().failure().reason(), "INVALID_SPEC");
  assignment.mutable_spec()->set_batch_size(50);
  assignment.mutable_spec()->set_preset("cnn-17");
  EXPECT_EQ(RunJob(assignment).Last().failure().reason(), "INVALID_SPEC");
}

TEST(JobRunTest, ADivergedTrainingHandsOverItsBestEpoch) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  // Every step multiplies the weights by 1 - 2.5.
  assignment.mutable_spec()->set_learning_rate(2.5);
  assignment.mutable_spec()->set_weight_decay(1);
  assignment.mutable_spec()->set_epochs(1000);
  assignment.mutable_spec()->set_patience(1000);
  const Told told = RunJob(assignment);
  EXPECT_THAT(told.Phases(), ElementsAre(v1::PHASE_PREPARING, v1::PHASE_TRAINING,
                                         v1::PHASE_EVALUATING, v1::PHASE_STORING));
  ASSERT_TRUE(told.Last().has_outcome()) << told.Last().ShortDebugString();
  const v1::Outcome& outcome = told.Last().outcome();
  EXPECT_EQ(outcome.failure().reason(), "DIVERGED");
  EXPECT_THAT(outcome.failure().message(), HasSubstr("loss became"));
  EXPECT_TRUE(outcome.result().diverged());
  EXPECT_EQ(outcome.result().epochs_trained(), static_cast<int>(told.Epochs().size()));
  EXPECT_GT(outcome.result().best_epoch(), 0);
  const auto archive = models::ReadModelArchive(job.attempt_dir(1) + "/" + outcome.archive());
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT(archive->metadata_json, HasSubstr("diverged"));
}

TEST(JobRunTest, TellsWhatMakesItsFiguresDoubtful) {
  const SmallJob job;
  std::ofstream(job.dataset_dir() + "/class_names.json")
      << R"(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "Hat"])";
  const Told told = RunJob(job.Assignment());
  ASSERT_TRUE(told.Last().has_outcome()) << told.Last().ShortDebugString();
  EXPECT_THAT(told.Last().outcome().result().warnings(),
              IsSupersetOf({"One class has no images to train on: Hat.",
                            "One class has no images to validate with: Hat."}));
}

TEST(JobRunTest, StandardizesByTheDataSetUnlessTheNetworkHasNumbers) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  assignment.mutable_spec()->set_preset("cnn-1");
  assignment.mutable_spec()->set_epochs(1);
  assignment.mutable_spec()->set_standardize(true);
  const Told told = RunJob(assignment);
  ASSERT_TRUE(told.Last().has_outcome()) << told.Last().ShortDebugString();
  const auto& made = told.Last().outcome().result().standardization();
  ASSERT_EQ(made.mean_size(), 1);
  EXPECT_NEAR(made.mean(0), 0.286, 0.02);
  EXPECT_NEAR(made.deviation(0), 0.353, 0.02);
  const auto archive =
      models::ReadModelArchive(job.attempt_dir(1) + "/" + told.Last().outcome().archive());
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_EQ(archive->architecture.network.standardization().mean(0), made.mean(0));

  v1::Assignment given = job.Assignment(2);
  given.clear_earlier_attempt_dirs();
  given.mutable_spec()->set_epochs(1);
  given.mutable_spec()->set_standardize(true);
  *given.mutable_spec()->mutable_network() = archive->architecture.network;
  given.mutable_spec()->mutable_network()->mutable_standardization()->set_mean(0, 0.5F);
  EXPECT_EQ(RunJob(given).Last().outcome().result().standardization().mean(0), 0.5F);
}

TEST(JobRunTest, UsesTheMomentumOfBatchNormThatWasAskedFor) {
  const SmallJob job;
  const auto loss = [&](int attempt, double momentum) {
    v1::Assignment assignment = job.Assignment(attempt);
    assignment.clear_earlier_attempt_dirs();
    assignment.mutable_spec()->set_preset("cnn-1");
    assignment.mutable_spec()->set_epochs(1);
    if (momentum > 0) assignment.mutable_spec()->set_batch_norm_momentum(momentum);
    return RunJob(assignment).Last().outcome().result().validation_loss();
  };
  const double without = loss(1, 0);
  EXPECT_GT(without, 0);
  EXPECT_EQ(loss(2, 0.01), without);
  EXPECT_NE(loss(3, 1), without);
}

TEST(JobRunTest, FailsWhereItCannotWrite) {
  const SmallJob job;
  v1::Assignment assignment = job.Assignment();
  std::ofstream(job.attempt_dir(1)) << "a file where the folder should be";
  const Told told = RunJob(assignment);
  EXPECT_EQ(told.Last().failure().reason(), "INTERNAL");
  EXPECT_THAT(told.Last().failure().message(), HasSubstr(job.attempt_dir(1)));
}

TEST(JobRunTest, StopsWithNothingBeforeTheFirstEpoch) {
  const SmallJob job;
  const Told told = RunJob(job.Assignment(), [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.has_step()) run->Stop();
  });
  EXPECT_TRUE(told.Last().has_stopped_empty());
  EXPECT_THAT(told.Epochs(), IsEmpty());
}

TEST(JobRunTest, StopsWithWhatItHasAfterAnEpoch) {
  const SmallJob job;
  const Told told = RunJob(job.Assignment(), [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.has_epoch()) run->Stop();
  });
  ASSERT_TRUE(told.Last().has_outcome());
  EXPECT_TRUE(told.Last().outcome().result().stopped_early());
  EXPECT_EQ(told.Last().outcome().result().epochs_trained(), 1);
}

TEST(JobRunTest, AStopWhileScoringCutsNothingShort) {
  const SmallJob job;
  const Told told = RunJob(job.Assignment(), [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.phase() == v1::PHASE_EVALUATING) run->Stop();
  });
  ASSERT_TRUE(told.Last().has_outcome());
  EXPECT_FALSE(told.Last().outcome().result().stopped_early());
}

TEST(JobRunTest, GoesOnFromWhereItWasSuspended) {
  const SmallJob job;
  const Told whole = RunJob(job.Assignment());

  const SmallJob other;
  const Told first = RunJob(other.Assignment(1), [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.has_epoch() && event.epoch().epoch() == 2) run->Suspend();
  });
  EXPECT_TRUE(first.Last().has_suspended());
  v1::Assignment assignment = other.Assignment(2);
  assignment.set_recorded_epoch(1);
  const Told second = RunJob(assignment);
  const std::size_t resumed = second.IndexOf(v1::WorkerEvent::kResumed);
  ASSERT_LT(resumed, second.events.size());
  EXPECT_EQ(second.events[resumed].resumed().epoch(), 2);
  EXPECT_EQ(second.events[resumed].resumed().global_step(), 36);
  EXPECT_LT(resumed, second.IndexOf(v1::WorkerEvent::kStep));
  EXPECT_THAT(second.Epochs(), ElementsAre(2, 3)) << "epoch 2 was not on record";
  ASSERT_TRUE(second.Last().has_outcome());
  EXPECT_EQ(second.Last().outcome().result().test_loss(),
            whole.Last().outcome().result().test_loss());
}

TEST(JobRunTest, ScoresInTheNextAttemptWhenSuspendedWhileScoring) {
  const SmallJob job;
  const Told first = RunJob(job.Assignment(1), [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.phase() == v1::PHASE_EVALUATING) run->Suspend();
  });
  EXPECT_TRUE(first.Last().has_suspended());
  v1::Assignment assignment = job.Assignment(2);
  assignment.set_recorded_epoch(3);
  const Told second = RunJob(assignment);
  EXPECT_THAT(second.Epochs(), IsEmpty());
  EXPECT_EQ(second.IndexOf(v1::WorkerEvent::kStep), second.events.size());
  ASSERT_TRUE(second.Last().has_outcome());
  EXPECT_EQ(second.Last().outcome().result().epochs_trained(), 3);
}

TEST(JobRunTest, ObeysWhatWasAskedBeforeItBegan) {
  const SmallJob job;
  JobRun* self = nullptr;
  std::vector<v1::WorkerEvent> events;
  JobRun suspended([&](v1::WorkerEvent event) { events.push_back(std::move(event)); });
  self = &suspended;
  self->Suspend();
  EXPECT_TRUE(self->Run(job.Assignment()).ok());
  EXPECT_TRUE(events.back().has_suspended());

  JobRun stopped([&](v1::WorkerEvent event) { events.push_back(std::move(event)); });
  stopped.Stop();
  EXPECT_TRUE(stopped.Run(job.Assignment()).ok());
  EXPECT_TRUE(events.back().has_stopped_empty());
}

TEST(OutOfMemoryEventTest, NamesTheLimitAndWhatToDo) {
  v1::Assignment assignment;
  assignment.mutable_spec()->set_memory_bytes(std::int64_t{512} << 20);
  const v1::WorkerEvent event = OutOfMemoryEvent(assignment, "600 MiB were in use");
  EXPECT_EQ(event.failure().reason(), "OUT_OF_MEMORY");
  EXPECT_THAT(event.failure().message(), HasSubstr("512 MiB"));
  EXPECT_THAT(event.failure().message(), HasSubstr("600 MiB were in use"));
  EXPECT_THAT(event.failure().message(), HasSubstr("--memory"));
}

// An import has neither --memory nor --batch-size.
TEST(OutOfMemoryEventTest, AdvisesAnImportOnlyWhatItHas) {
  v1::Assignment assignment;
  assignment.mutable_import()->mutable_spec()->set_memory_bytes(std::int64_t{512} << 20);
  const v1::WorkerEvent event = OutOfMemoryEvent(assignment, "600 MiB were in use");
  EXPECT_EQ(event.failure().message(),
            "The job's memory limit of 512 MiB was reached: 600 MiB were in use. Try a machine or "
            "container with more memory.");
}

// What an attempt at an evaluation of the model in a folder is told.
v1::Assignment EvaluationOf(const SmallJob& job, atelier::v1::DatasetSplit split) {
  v1::Assignment assignment;
  assignment.set_dataset_dir(job.dataset_dir());
  assignment.set_attempt_dir(job.attempt_dir(2));
  assignment.mutable_evaluation()->set_archive(job.attempt_dir(1) + "/model.tar.gz");
  assignment.mutable_evaluation()->mutable_spec()->set_split(split);
  assignment.mutable_evaluation()->mutable_spec()->set_cores(1);
  return assignment;
}

TEST(JobRunTest, EvaluatesAModel) {
  const SmallJob job;
  const Told trained = RunJob(job.Assignment());
  ASSERT_TRUE(trained.Last().has_outcome()) << trained.Last().ShortDebugString();
  const atelier::v1::TrainingResult& result = trained.Last().outcome().result();
  v1::Assignment assignment = EvaluationOf(job, atelier::v1::DATASET_SPLIT_TEST);
  assignment.mutable_evaluation()->set_temperature(result.temperature());
  const Told told = RunJob(assignment);
  EXPECT_THAT(told.Phases(), ElementsAre(v1::PHASE_PREPARING, v1::PHASE_EVALUATING));
  ASSERT_TRUE(told.Last().has_scoring_outcome()) << told.Last().ShortDebugString();
  const v1::ScoringOutcome& outcome = told.Last().scoring_outcome();
  EXPECT_DOUBLE_EQ(outcome.evaluation().accuracy(), result.test_accuracy());
  EXPECT_DOUBLE_EQ(outcome.evaluation().calibrated_ece(), result.calibrated_test_ece());
  EXPECT_EQ(outcome.evaluation().images(), SmallJob::kTestImages);
  EXPECT_EQ(outcome.predictions_size(), SmallJob::kTestImages);
  EXPECT_EQ(outcome.confusion_matrix().rows_size(), 10);
}

TEST(JobRunTest, ClassesAreMatchedByNameInAnyOrder) {
  const SmallJob job;
  ASSERT_TRUE(RunJob(job.Assignment()).Last().has_outcome());
  const Told before = RunJob(EvaluationOf(job, atelier::v1::DATASET_SPLIT_TRAINING));
  // The same images under labels that mean other classes: what was a T-shirt is now a bag.
  std::ofstream(job.dataset_dir() + "/class_names.json")
      << R"(["Bag", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
             "T-shirt", "Ankle boot"])";
  const Told after = RunJob(EvaluationOf(job, atelier::v1::DATASET_SPLIT_TRAINING));
  ASSERT_TRUE(after.Last().has_scoring_outcome()) << after.Last().ShortDebugString();
  const auto& rows = after.Last().scoring_outcome().confusion_matrix().rows();
  EXPECT_EQ(rows[8].counts(0),
            before.Last().scoring_outcome().confusion_matrix().rows(0).counts(0));
}

TEST(JobRunTest, AnEvaluationOfUnknownClassesFailsWithTheirNames) {
  const SmallJob job;
  ASSERT_TRUE(RunJob(job.Assignment()).Last().has_outcome());
  std::ofstream(job.dataset_dir() + "/class_names.json")
      << R"(["Hat", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
             "Bag", "Ankle boot"])";
  const Told told = RunJob(EvaluationOf(job, atelier::v1::DATASET_SPLIT_TEST));
  ASSERT_TRUE(told.Last().has_failure()) << told.Last().ShortDebugString();
  EXPECT_EQ(told.Last().failure().reason(), "BAD_DATA");
  EXPECT_THAT(told.Last().failure().message(), HasSubstr("does not know 'Hat'"));
}

TEST(JobRunTest, AStopOfACheckLeavesNothing) {
  const SmallJob job;
  v1::Assignment assignment;
  assignment.set_dataset_dir(job.dataset_dir());
  assignment.set_attempt_dir(job.attempt_dir(1));
  assignment.mutable_check()->set_split(atelier::v1::DATASET_SPLIT_TRAINING);
  assignment.mutable_check()->set_folds(5);
  const Told told = RunJob(assignment, [](const v1::WorkerEvent& event, JobRun* run) {
    if (event.has_step()) run->Stop();
  });
  EXPECT_THAT(told.Phases(), ElementsAre(v1::PHASE_PREPARING, v1::PHASE_CHECKING));
  EXPECT_TRUE(told.Last().has_stopped_empty()) << told.Last().ShortDebugString();
}

TEST(JobRunTest, ACheckGoesOnWithTheFoldsOfAnEarlierAttempt) {
  const SmallJob job;
  v1::Assignment assignment;
  assignment.set_dataset_dir(job.dataset_dir());
  assignment.set_attempt_dir(job.attempt_dir(1));
  assignment.mutable_check()->set_split(atelier::v1::DATASET_SPLIT_TRAINING);
  assignment.mutable_check()->set_folds(2);
  for (const int attempt : {1, 2}) std::filesystem::create_directories(job.attempt_dir(attempt));
  const Told half = RunJob(assignment, [&](const v1::WorkerEvent&, JobRun* run) {
    if (std::filesystem::exists(job.attempt_dir(1) + "/fold-0")) run->Suspend();
  });
  ASSERT_TRUE(half.Last().has_suspended()) << half.Last().ShortDebugString();
  assignment.set_attempt_dir(job.attempt_dir(2));
  assignment.add_earlier_attempt_dirs(job.attempt_dir(1));
  const Told rest = RunJob(assignment);
  ASSERT_TRUE(rest.Last().has_scoring_outcome()) << rest.Last().ShortDebugString();
  EXPECT_FALSE(std::filesystem::exists(job.attempt_dir(2) + "/fold-0"));
  EXPECT_TRUE(std::filesystem::exists(job.attempt_dir(2) + "/fold-1"));
}

TEST(JobRunTest, AnEvaluationIsSuspended) {
  const SmallJob job;
  ASSERT_TRUE(RunJob(job.Assignment()).Last().has_outcome());
  const Told told = RunJob(EvaluationOf(job, atelier::v1::DATASET_SPLIT_TEST),
                           [](const v1::WorkerEvent&, JobRun* run) { run->Suspend(); });
  EXPECT_TRUE(told.Last().has_suspended()) << told.Last().ShortDebugString();
}

}  // namespace
}  // namespace atelier::worker
