#include "models/training/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/compute/compile.h"
#include "models/network/probabilities.h"
#include "models/training/calibration.h"
#include "models/training/checkpoint.h"
#include "models/training/evaluation.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;
using End = TrainingOutcome::End;

// Writes down what happens, and asks to end after a given step.
class Recorder : public TrainingObserver {
 public:
  explicit Recorder(int64_t end_after = -1, StopRequest how = StopRequest::kNone)
      : end_after_(end_after), how_(how) {}

  void OnStep(const StepProgress& progress) override {
    steps.push_back(progress);
    if (progress.global_step != end_after_) return;
    if (how_ == StopRequest::kStop) stop.Stop();
    if (how_ == StopRequest::kSuspend) stop.Suspend();
  }
  void OnEpoch(const EpochMetrics& metrics) override { epochs.push_back(metrics); }
  void OnCheckpoint(const CheckpointSaved& saved) override { checkpoints.push_back(saved); }
  void OnEarlyStop(int64_t epoch, int64_t best) override { early_stop = {epoch, best}; }

  StopSignal stop;
  std::vector<StepProgress> steps;
  std::vector<EpochMetrics> epochs;
  std::vector<CheckpointSaved> checkpoints;
  std::pair<int64_t, int64_t> early_stop;

 private:
  const int64_t end_after_;
  const StopRequest how_;
};

struct Finished {
  TrainingOutcome outcome;
  TrainedModel model;
};

// Trains to the end, or to where the recorder ends it.
Finished Train(const TrainingOptions& options, const CheckpointOptions& checkpoints = {},
               Recorder* recorder = nullptr) {
  auto trainer = Trainer::Create(options, SmallDataset(), checkpoints);
  if (!trainer.ok()) {
    ADD_FAILURE() << trainer.status();
    return {};
  }
  const auto outcome = (*trainer)->Run(recorder, recorder ? &recorder->stop : nullptr);
  if (!outcome.ok()) {
    ADD_FAILURE() << outcome.status();
    return {};
  }
  return {*outcome, (*trainer)->CurrentModel()};
}

CheckpointOptions In(const TemporaryFolder& folder) { return {folder.path(), {folder.path()}}; }

// What holds on both paths.
class TrainerPathTest : public testing::TestWithParam<PathCase> {};

INSTANTIATE_TEST_SUITE_P(All, TrainerPathTest, testing::ValuesIn(AllPaths()),
                         [](const auto& test) { return test.param.name; });

TEST_P(TrainerPathTest, LearnsAndTellsOfIt) {
  Recorder recorder;
  TrainingOptions options = GetParam().options;
  options.epochs = 6;
  const Finished done = Train(options, {}, &recorder);
  EXPECT_EQ(done.outcome.end, End::kFinished);
  ASSERT_EQ(recorder.epochs.size(), 6U);
  EXPECT_LT(recorder.epochs.back().training_loss, recorder.epochs.front().training_loss);
  EXPECT_LT(recorder.epochs.back().validation_loss, recorder.epochs.front().validation_loss);
  EXPECT_GT(recorder.epochs.back().validation_accuracy, 0.5);
  EXPECT_TRUE(recorder.epochs.front().best);

  ASSERT_EQ(recorder.steps.size(), 90U);
  const StepProgress& last = recorder.steps.back();
  EXPECT_EQ(last.epoch, 6);
  EXPECT_EQ(last.step, 15);
  EXPECT_EQ(last.steps_per_epoch, 15);
  EXPECT_EQ(last.global_step, 90);
  EXPECT_GT(last.images_per_second, 0);
  EXPECT_DOUBLE_EQ(last.training_loss, recorder.epochs.back().training_loss);
  EXPECT_DOUBLE_EQ(last.training_accuracy, recorder.epochs.back().training_accuracy);
  EXPECT_GT(done.outcome.images_per_second, 0);
  EXPECT_GT(done.outcome.training_seconds, 0);
}

// With so few steps an epoch, means over the last hundred steps are of weights long gone.
TEST(TrainerTest, ValidatesASmallDatasetWithStatisticsOfNow) {
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset("cnn-2", {1, 28, 28}, 10, 0.3);
  options.learning_rate = 0.001;
  options.batch_size = 128;
  const Finished done = Train(options);
  for (const EpochMetrics& metrics : done.outcome.history) {
    EXPECT_GT(metrics.validation_accuracy, metrics.training_accuracy - 0.1) << metrics.epoch;
  }
}

TEST_P(TrainerPathTest, GivesTheSameWeightsForTheSameSeed) {
  EXPECT_EQ(Train(GetParam().options).model, Train(GetParam().options).model);
}

TEST_P(TrainerPathTest, GivesOtherWeightsForAnotherSeed) {
  TrainingOptions other = GetParam().options;
  other.seed = 12;
  EXPECT_NE(Train(GetParam().options).model, Train(other).model);
}

TEST_P(TrainerPathTest, GivesTheSameWeightsOnAnyNumberOfThreads) {
  TrainingOptions options = GetParam().options;
  options.shards = 4;
  const Finished one = Train(options);
  for (const int64_t threads : {2, 4, 7}) {
    options.threads = threads;
    EXPECT_EQ(Train(options).model, one.model) << threads << " threads";
  }
}

TEST_P(TrainerPathTest, ContinuesBitIdenticallyWithinAnEpoch) {
  const Finished whole = Train(GetParam().options);
  for (const int64_t step : {1, 7, 15, 22, 44}) {
    const TemporaryFolder folder;
    Recorder first(step, StopRequest::kSuspend);
    EXPECT_EQ(Train(GetParam().options, In(folder), &first).outcome.end, End::kSuspended);
    EXPECT_EQ(first.checkpoints.back().global_step, step);
    Recorder second;
    TrainingOptions options = GetParam().options;
    options.threads = 2;
    const Finished rest = Train(options, In(folder), &second);
    EXPECT_EQ(rest.model, whole.model) << "suspended after step " << step;
    EXPECT_EQ(second.steps.front().global_step, step + 1);
    ASSERT_EQ(rest.outcome.history.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(rest.outcome.history[i].training_loss, whole.outcome.history[i].training_loss);
      EXPECT_EQ(rest.outcome.history[i].validation_loss, whole.outcome.history[i].validation_loss);
    }
  }
}

TEST_P(TrainerPathTest, FollowsOneCycleAcrossASuspension) {
  TrainingOptions options = GetParam().options;
  options.schedule = Schedule::kOneCycle;
  const Finished whole = Train(options);
  EXPECT_NE(whole.model, Train(GetParam().options).model);
  const TemporaryFolder folder;
  Recorder first(22, StopRequest::kSuspend);
  Train(options, In(folder), &first);
  const Finished rest = Train(options, In(folder));
  EXPECT_EQ(rest.model, whole.model);
  EXPECT_EQ(rest.outcome.history[1].learning_rate, whole.outcome.history[1].learning_rate);
  EXPECT_GT(rest.outcome.history[1].learning_rate, rest.outcome.history[2].learning_rate);
}

TEST_P(TrainerPathTest, KeepsTheAverageAcrossASuspension) {
  TrainingOptions options = GetParam().options;
  options.augmentation = {.horizontal_flip = true, .shift = 1, .erasing = 0.3};
  options.label_smoothing = 0.1;
  options.weight_decay = 0.01;
  options.average_decay = 0.9;
  const Finished whole = Train(options);
  const TemporaryFolder folder;
  Recorder first(22, StopRequest::kSuspend);
  Train(options, In(folder), &first);
  const Finished rest = Train(options, In(folder));
  EXPECT_EQ(rest.model, whole.model);
  EXPECT_EQ(rest.outcome.history[2].validation_loss, whole.outcome.history[2].validation_loss);
  options.average_decay = 0;
  EXPECT_NE(Train(options).model, whole.model);
}

TEST(TrainingOptionsTest, RaisesAndLowersTheLearningRateInOneCycle) {
  TrainingOptions options;
  options.learning_rate = 0.01;
  EXPECT_EQ(options.LearningRateAt(0, 1000), 0.01);
  EXPECT_EQ(options.LearningRateAt(999, 1000), 0.01);
  options.schedule = Schedule::kOneCycle;
  options.warmup_fraction = 0.2;
  EXPECT_LT(options.LearningRateAt(0, 1000), 0.0002);
  EXPECT_NEAR(options.LearningRateAt(100, 1000), 0.005, 0.0001);
  EXPECT_NEAR(options.LearningRateAt(200, 1000), 0.01, 0.0001);
  EXPECT_NEAR(options.LearningRateAt(600, 1000), 0.005, 0.0001);
  EXPECT_LT(options.LearningRateAt(999, 1000), 0.0002);
  EXPECT_GT(options.LearningRateAt(999, 1000), 0);
  options.warmup_fraction = 1;
  EXPECT_THAT(std::string(options.Validate(*SmallDataset()).message()),
              HasSubstr("warmup_fraction is 1, it must be above 0 and below 1"));
}

// A kill leaves the last epoch's checkpoint and nothing of what came after.
TEST_P(TrainerPathTest, ContinuesBitIdenticallyAfterAKill) {
  const Finished whole = Train(GetParam().options);
  const TemporaryFolder folder;
  Recorder killed(20, StopRequest::kStop);
  Train(GetParam().options, In(folder), &killed);
  auto trainer = Trainer::Create(GetParam().options, SmallDataset(), In(folder));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  ASSERT_TRUE((*trainer)->resumed().has_value());
  EXPECT_EQ((*trainer)->resumed()->epoch, 1);
  EXPECT_EQ((*trainer)->resumed()->step, 0);
  EXPECT_EQ((*trainer)->resumed()->global_step, 15);
  EXPECT_EQ((*trainer)->resumed()->history.size(), 1U);
  ASSERT_TRUE((*trainer)->Run().ok());
  EXPECT_EQ((*trainer)->CurrentModel(), whole.model);
}

TEST(TrainerTest, FallsBackToTheCheckpointBeforeADamagedOne) {
  const Finished whole = Train(SmallOptions());
  const TemporaryFolder folder;
  Recorder recorder(40, StopRequest::kSuspend);
  Train(SmallOptions(), In(folder), &recorder);
  std::string bytes = folder.Read("checkpoint-40.ckpt");
  bytes[bytes.size() / 2] ^= 1;
  folder.Write("checkpoint-40.ckpt", bytes);
  folder.Write("checkpoint-41.ckpt", bytes.substr(0, bytes.size() / 2));
  folder.Write("checkpoint-42.ckpt", "");
  auto trainer = Trainer::Create(SmallOptions(), SmallDataset(), In(folder));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  EXPECT_EQ((*trainer)->resumed()->global_step, 30);
  ASSERT_TRUE((*trainer)->Run().ok());
  EXPECT_EQ((*trainer)->CurrentModel(), whole.model);
}

TEST(TrainerTest, LooksForCheckpointsInEveryFolder) {
  const TemporaryFolder first;
  const TemporaryFolder second;
  Recorder recorder(20, StopRequest::kSuspend);
  Train(SmallOptions(), {first.path(), {}}, &recorder);
  auto trainer = Trainer::Create(
      SmallOptions(), SmallDataset(),
      {second.File("new"), {second.path() + "/nowhere", second.path(), first.path()}});
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  EXPECT_EQ((*trainer)->resumed()->global_step, 20);
  EXPECT_TRUE(std::filesystem::is_directory(second.File("new")));
}

TEST(TrainerTest, KeepsTwoCheckpoints) {
  const TemporaryFolder folder;
  Recorder recorder;
  Train(SmallOptions(), In(folder), &recorder);
  ASSERT_EQ(recorder.checkpoints.size(), 3U);
  EXPECT_EQ(recorder.checkpoints.back().epoch, 3);
  EXPECT_EQ(recorder.checkpoints.back().path, folder.File("checkpoint-45.ckpt"));
  EXPECT_EQ(recorder.checkpoints.back().size_bytes,
            static_cast<int64_t>(std::filesystem::file_size(folder.File("checkpoint-45.ckpt"))));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("checkpoint-30.ckpt", "checkpoint-45.ckpt"));
}

TEST(TrainerTest, RefusesACheckpointOfOtherOptions) {
  const TemporaryFolder folder;
  Train(SmallOptions(), In(folder));
  TrainingOptions other = SmallOptions();
  other.learning_rate = 0.002;
  const auto trainer = Trainer::Create(other, SmallDataset(), In(folder));
  EXPECT_EQ(ReasonOf(trainer.status()), FailureReason::kInvalidSpec);
  EXPECT_THAT(std::string(trainer.status().message()),
              HasSubstr("other options or data (learning_rate);"));
}

TEST(TrainerTest, BeginsAfreshWhereTheCheckpointIsOfAnotherMethod) {
  const TemporaryFolder folder;
  Recorder recorder(20, StopRequest::kSuspend);
  Train(SmallOptions(), In(folder), &recorder);
  TrainingState state = *ReadCheckpoint(folder.File("checkpoint-20.ckpt"));
  const std::string::size_type method = state.fingerprint.find("\"method\":2,");
  ASSERT_NE(method, std::string::npos) << state.fingerprint;
  state.fingerprint.erase(method, 11);  // As before there was one.
  const TemporaryFolder old;
  ASSERT_TRUE(WriteCheckpoint(old.path(), state).ok());
  const auto trainer = Trainer::Create(SmallOptions(), SmallDataset(), In(old));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  EXPECT_FALSE((*trainer)->resumed().has_value());
}

TEST(TrainerTest, RefusesACheckpointOfTheOtherPath) {
  const TemporaryFolder folder;
  Train(SmallOptions(), In(folder));
  TrainingOptions other = SmallOptions();
  other.path_choice = PathChoice::kLibTorch;
  const auto trainer = Trainer::Create(other, SmallDataset(), In(folder));
  EXPECT_THAT(std::string(trainer.status().message()),
              HasSubstr("other options or data (compute_path);"));
}

TEST(TrainerTest, TellsWhatComputed) {
  TrainingOptions options = SmallOptions();
  options.epochs = 1;
  EXPECT_EQ(Train(options).outcome.path, ComputePath::kKernels);
  options.path_choice = PathChoice::kLibTorch;
  EXPECT_EQ(Train(options).outcome.path, ComputePath::kLibTorch);
}

TEST(TrainerTest, RefusesACheckpointOfOtherData) {
  const TemporaryFolder folder;
  Train(SmallOptions(), In(folder));
  const auto begun = SmallDataset();
  const auto changed = Dataset::Create(begun->shape(), begun->class_names(),
                                       FirstImages(*begun, SplitName::kTraining, 999),
                                       FirstImages(*begun, SplitName::kTest, 300));
  const auto trainer = Trainer::Create(SmallOptions(), *changed, In(folder));
  EXPECT_EQ(ReasonOf(trainer.status()), FailureReason::kBadData);
  EXPECT_THAT(std::string(trainer.status().message()), HasSubstr("this training began with"));
}

TEST(TrainerTest, EndsAtOnceWhenContinuedAfterItsEnd) {
  const TemporaryFolder folder;
  const Finished whole = Train(SmallOptions(), In(folder));
  Recorder recorder;
  const Finished again = Train(SmallOptions(), In(folder), &recorder);
  EXPECT_TRUE(recorder.steps.empty());
  EXPECT_EQ(again.outcome.end, End::kFinished);
  EXPECT_EQ(again.outcome.best_epoch, whole.outcome.best_epoch);
  EXPECT_EQ(again.model, whole.model);
}

TEST(TrainerTest, ReportsAFolderThatCannotBeWritten) {
  const TemporaryFolder folder;
  folder.Write("file", "");
  const auto trainer = Trainer::Create(SmallOptions(), SmallDataset(), {folder.File("file"), {}});
  EXPECT_EQ(ReasonOf(trainer.status()), FailureReason::kInternal);
  EXPECT_THAT(std::string(trainer.status().message()), HasSubstr("cannot be written"));
}

TEST(TrainerTest, StopsWithinAStep) {
  Recorder recorder(18, StopRequest::kStop);
  const Finished done = Train(SmallOptions(), {}, &recorder);
  EXPECT_EQ(done.outcome.end, End::kStopped);
  EXPECT_EQ(recorder.steps.size(), 18U);
  EXPECT_EQ(done.outcome.history.size(), 1U);
  EXPECT_EQ(done.outcome.best_epoch, 1);
}

TEST(TrainerTest, HasNoBestModelBeforeTheFirstEpoch) {
  Recorder recorder(3, StopRequest::kStop);
  auto trainer = Trainer::Create(SmallOptions(), SmallDataset());
  ASSERT_TRUE(trainer.ok());
  const auto outcome = (*trainer)->Run(&recorder, &recorder.stop);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->best_epoch, 0);
  EXPECT_TRUE(absl::IsFailedPrecondition((*trainer)->BestModel().status()));
  EXPECT_TRUE(absl::IsFailedPrecondition((*trainer)->ValidateInBfloat16().status()));
}

// A learning rate this large makes the validation loss jump about, so patience runs out.
TrainingOptions Restless() {
  TrainingOptions options = SmallOptions();
  options.learning_rate = 0.3;
  options.epochs = 200;
  options.patience = 2;
  return options;
}

TEST(TrainerTest, StopsEarlyAndGivesTheBestEpochsWeights) {
  Recorder recorder;
  auto trainer = Trainer::Create(Restless(), SmallDataset());
  ASSERT_TRUE(trainer.ok());
  const auto outcome = (*trainer)->Run(&recorder, nullptr);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->end, End::kEarlyStop);
  const auto epochs = static_cast<int64_t>(outcome->history.size());
  EXPECT_EQ(epochs, outcome->best_epoch + 2);
  EXPECT_EQ(recorder.early_stop, std::pair(epochs, outcome->best_epoch));
  double lowest = std::numeric_limits<double>::infinity();
  for (const EpochMetrics& metrics : outcome->history) {
    EXPECT_EQ(metrics.best, metrics.validation_loss < lowest);
    lowest = std::min(lowest, metrics.validation_loss);
  }
  EXPECT_EQ(outcome->history[static_cast<size_t>(outcome->best_epoch - 1)].validation_loss, lowest);

  // The best weights are those that a training of just so many epochs ends with.
  TrainingOptions short_options = Restless();
  short_options.epochs = outcome->best_epoch;
  EXPECT_EQ(*(*trainer)->BestModel(), Train(short_options).model);
  const EpochMetrics& best = outcome->history[static_cast<size_t>(outcome->best_epoch - 1)];
  const auto bfloat16 = (*trainer)->ValidateInBfloat16();
  ASSERT_TRUE(bfloat16.ok()) << bfloat16.status();
  EXPECT_NEAR(bfloat16->value().accuracy, best.validation_accuracy, 0.02);
}

// The small network without its convolutions.
v1::Network DenseNetwork() {
  BlockNetwork blocks = SmallBlocks();
  blocks.blocks.clear();
  return blocks.ToNetwork("dense");
}

TEST(TrainerTest, ReportsADivergedLossWithEpochAndStep) {
  TrainingOptions options = SmallOptions();
  // Zero in float32, so a pixel that is always black divides 0 by 0 in the first step.
  options.architecture.network = DenseNetwork();
  options.adam_epsilon = 1e-60;
  auto trainer = Trainer::Create(options, SmallDataset());
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const auto outcome = (*trainer)->Run();
  EXPECT_EQ(ReasonOf(outcome.status()), FailureReason::kDiverged);
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("epoch 1, step 2"));
}

// Weights that grow with every step until they are no numbers any more: `keep` is 1 - 2.5.
TrainingOptions Diverging() {
  TrainingOptions options = SmallOptions();
  options.architecture.network = DenseNetwork();
  options.learning_rate = 2.5;
  options.weight_decay = 1;
  options.epochs = options.patience = 1000;
  return options;
}

TEST(TrainerTest, ADivergedTrainingKeepsItsBestEpoch) {
  const TemporaryFolder folder;
  auto trainer = Trainer::Create(Diverging(), SmallDataset(), In(folder));
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const auto outcome = (*trainer)->Run();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->end, End::kDiverged);
  EXPECT_EQ(ReasonOf(outcome->failure), FailureReason::kDiverged);
  EXPECT_THAT(std::string(outcome->failure.message()), HasSubstr("loss became"));
  ASSERT_GT(outcome->best_epoch, 0);
  TrainingOptions up_to_best = Diverging();
  up_to_best.epochs = outcome->best_epoch;
  EXPECT_EQ(*(*trainer)->BestModel(), Train(up_to_best).model);
  // Taken up again it comes to the same.
  auto again = Trainer::Create(Diverging(), SmallDataset(), In(folder));
  ASSERT_TRUE(again.ok()) << again.status();
  const auto repeated = (*again)->Run();
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->failure, outcome->failure);
  EXPECT_EQ(repeated->best_epoch, outcome->best_epoch);
}

TEST_P(TrainerPathTest, TrainsWithFewerImagesThanShardsInTheLastBatch) {
  TrainingOptions options = GetParam().options;
  options.batch_size = 899;
  options.validation_fraction = 0.1;
  options.shards = 29;
  options.epochs = 1;
  const Finished done = Train(options);
  ASSERT_EQ(done.outcome.history.size(), 1U);
  EXPECT_TRUE(std::isfinite(done.outcome.history[0].validation_loss));
}

TEST(TrainerTest, TrainsInBfloat16WhereTheProcessorCan) {
  TrainingOptions options = SmallOptions();
  options.precision = Precision::kBfloat16;
  if (!Bfloat16Supported()) {
    EXPECT_THAT(std::string(options.Validate(*SmallDataset()).message()), HasSubstr("bfloat16"));
    return;
  }
  const Finished done = Train(options);
  EXPECT_LT(done.outcome.history[2].training_loss, done.outcome.history[0].training_loss);
  EXPECT_EQ(Train(options).model, done.model);
}

TEST(TrainingOptionsTest, NamesEveryWrongField) {
  TrainingOptions options = SmallOptions();
  options.epochs = 0;
  options.patience = 10001;
  options.learning_rate = std::nan("");
  options.batch_size = 901;
  options.shards = 65;
  options.threads = 0;
  options.architecture.classes = 9;
  options.augmentation.shift = 17;
  options.augmentation.erasing = 1.5;
  options.augmentation.random_resized_crop = -0.1;
  options.augmentation.rotation = 181;
  options.augmentation.color_jitter = std::nan("");
  options.label_smoothing = 1;
  options.weight_decay = -1;
  options.average_decay = 1;
  const absl::Status status = options.Validate(*SmallDataset());
  EXPECT_EQ(ReasonOf(status), FailureReason::kInvalidSpec);
  for (const char* part :
       {"epochs is 0", "patience is 10001", "learning_rate is nan", "at most the 900 images",
        "shards is 65", "threads is 0", "images of 9 classes", "shift is 17, it must be 0 to 16",
        "erasing is 1.5", "random_resized_crop is -0.1", "rotation is 181, it must be 0 to 180",
        "color_jitter is nan", "label_smoothing is 1", "weight_decay is -1",
        "average_decay is 1"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST(TrainingOptionsTest, WantsShardsThatDivideTheBatch) {
  TrainingOptions options = SmallOptions();
  options.shards = 3;
  EXPECT_THAT(std::string(options.Validate(*SmallDataset()).message()),
              HasSubstr("shards is 3, it must divide the batch size of 64"));
  EXPECT_EQ(AutoShards(3, 128), 2);
  EXPECT_EQ(AutoShards(8, 128), 8);
  EXPECT_EQ(AutoShards(4, 7), 1);
}

TEST(TrainerTest, RefusesADeviceThatIsNotThere) {
  if (CudaAvailable()) GTEST_SKIP() << "there is a GPU";
  TrainingOptions options = SmallOptions();
  options.device = Device::kCuda;
  const absl::Status status = options.Validate(*SmallDataset());
  EXPECT_EQ(ReasonOf(status), FailureReason::kInvalidSpec);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("device is cuda"));
}

TEST_P(TrainerPathTest, IsScoredAlikeOnAnyNumberOfThreads) {
  const TrainingOptions& options = GetParam().options;
  const Finished done = Train(options);
  const PathChoice choice = options.path_choice;
  const auto one =
      Evaluate(done.model, *SmallDataset(), SplitName::kTest, {1, 32, Device::kCpu, choice});
  const auto two =
      Evaluate(done.model, *SmallDataset(), SplitName::kTest, {3, 32, Device::kCpu, choice});
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(one->loss, two->loss);
  EXPECT_EQ(one->confusion, two->confusion);

  ASSERT_EQ(one->predictions.size(), 300U);
  int64_t right = 0;
  double loss = 0;
  for (const Prediction& prediction : one->predictions) {
    right += prediction.right();
    loss -= std::log(prediction.true_probability);
    EXPECT_GE(prediction.probability, prediction.true_probability);
  }
  EXPECT_DOUBLE_EQ(one->accuracy, static_cast<double>(right) / 300);
  EXPECT_NEAR(one->loss, loss / 300, 1e-5);
  int64_t diagonal = 0;
  int64_t all = 0;
  for (size_t i = 0; i < 10; ++i) {
    diagonal += one->confusion[i][i];
    for (const int64_t count : one->confusion[i]) all += count;
  }
  EXPECT_EQ(diagonal, right);
  EXPECT_EQ(all, 300);
}

// Metrics that need every class' probability, against their definitions.
TEST_P(TrainerPathTest, IsMeasuredBeyondAccuracy) {
  const Finished done = Train(GetParam().options);
  const PathChoice choice = GetParam().options.path_choice;
  const double temperature = 1.7;
  const auto evaluation = Evaluate(done.model, *SmallDataset(), SplitName::kTest,
                                   {2, 32, Device::kCpu, choice, temperature});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();

  const LabeledImages& images = SmallDataset()->test();
  std::vector<float> rows(3000);
  const PixelSpan pixels = absl::MakeConstSpan(images.pixels);
  Compile(done.model, {Precision::kFloat32, Device::kCpu, choice})
      ->Run(absl::MakeConstSpan(&pixels, 1), rows.data());
  int among_five = 0;
  ReliabilityTally before;
  ReliabilityTally after;
  for (size_t i = 0; i < 300; ++i) {
    const auto row = absl::MakeSpan(rows).subspan(10 * i, 10);
    const ClassLabel label = images.labels[i];
    among_five +=
        std::count_if(row.begin(), row.end(), [&](float p) { return p > row[label]; }) < 5;
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    before.Add(row[static_cast<size_t>(best)], best == label);
    ApplyTemperature(temperature, 10, row);
    after.Add(row[static_cast<size_t>(best)], best == label);
  }
  EXPECT_GT(*evaluation->top5_accuracy, evaluation->accuracy);
  EXPECT_NEAR(*evaluation->top5_accuracy, among_five / 300.0, 1e-12);
  EXPECT_EQ(evaluation->reliability.bins.size(), 15U);
  EXPECT_NEAR(evaluation->reliability.ece, before.Finish().ece, 1e-4);
  EXPECT_NEAR(evaluation->calibrated->ece, after.Finish().ece, 1e-4);
  double macro = 0;
  double weighted = 0;
  for (const ClassMetrics& metrics : evaluation->class_metrics) {
    macro += metrics.f1 / 10;
    weighted += metrics.f1 * static_cast<double>(metrics.support) / 300;
  }
  EXPECT_NEAR(evaluation->macro_f1, macro, 1e-12);
  EXPECT_NEAR(evaluation->weighted_f1, weighted, 1e-12);
}

TEST(TrainerTest, CalibratesOnTheValidationImagesWhateverTheThreads) {
  TrainingOptions options = SmallOptions();
  const auto calibration_with = [&](int64_t threads) {
    options.threads = threads;
    const auto trainer = Trainer::Create(options, SmallDataset()).value();
    EXPECT_EQ(trainer->CalibrateBestModel().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(trainer->Run().ok());
    return trainer->CalibrateBestModel().value();
  };
  const Calibration one = calibration_with(1);
  const Calibration two = calibration_with(2);
  EXPECT_EQ(one.temperature, two.temperature);
  EXPECT_EQ(one.calibrated_validation_ece, two.calibrated_validation_ece);
  EXPECT_GT(one.temperature, kMinTemperature);
  EXPECT_LT(one.temperature, kMaxTemperature);
}

TEST(EvaluateTest, TopFiveNeedsMoreThanFiveClasses) {
  Architecture architecture = *Architecture::FromPreset("dense", {1, 2, 2}, 5, 0);
  const std::vector<uint8_t> pixels(8);
  const std::vector<ClassLabel> labels = {0, 4};
  const auto dataset =
      Dataset::Create({1, 2, 2}, {"a", "b", "c", "d", "e"}, {pixels, labels}, {pixels, labels});
  const auto evaluation =
      Evaluate(TrainedModel::Initial(architecture, 1), **dataset, SplitName::kTest);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_FALSE(evaluation->top5_accuracy.has_value());
  EXPECT_FALSE(evaluation->calibrated.has_value()) << "no temperature was given";
}

TEST(EvaluateTest, RefusesAModelForOtherImages) {
  const Architecture other = *Architecture::FromPreset("dense", {3, 32, 32}, 10, 0);
  const auto evaluation =
      Evaluate(TrainedModel::Initial(other, 1), *SmallDataset(), SplitName::kTest);
  EXPECT_EQ(ReasonOf(evaluation.status()), FailureReason::kInvalidSpec);
}

TEST(EvaluateTest, SaysThatThereIsNoGpu) {
  if (CudaAvailable()) GTEST_SKIP() << "there is one";
  EvaluationOptions options;
  options.device = Device::kCuda;
  const auto evaluation = Evaluate(TrainedModel::Initial(SmallOptions().architecture, 1),
                                   *SmallDataset(), SplitName::kTest, options);
  EXPECT_EQ(ReasonOf(evaluation.status()), FailureReason::kInternal);
}

TEST(EvaluateTest, EndsWhenAskedTo) {
  StopSignal stop;
  stop.Stop();
  const auto evaluation = Evaluate(TrainedModel::Initial(SmallOptions().architecture, 1),
                                   *SmallDataset(), SplitName::kTest, {}, &stop);
  EXPECT_EQ(ReasonOf(evaluation.status()), FailureReason::kCancelled);
}

}  // namespace
}  // namespace atelier::models
