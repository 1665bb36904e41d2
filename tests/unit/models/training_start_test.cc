#include "models/network/training_start.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/compute/compile.h"
#include "models/training/scoring.h"
#include "models/training/trainer.h"
#include "models/training/training_engine.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TrainingStart Match(const Architecture& architecture, const Architecture& from, bool same_classes) {
  TrainingStart start;
  MatchLayers(architecture, from, same_classes, &start);
  return start;
}

TEST(TrainingStartTest, TakesLayersOfTheSameNamesAndShapes) {
  const Architecture from = SmallOptions().architecture;
  Architecture other = from;
  other.classes = 7;
  EXPECT_THAT(Match(other, from, false).new_layers, ElementsAre("output"));
  BlockNetwork blocks = SmallBlocks();
  blocks.blocks[0].filters = 6;
  other = from;
  other.network = blocks.ToNetwork("small");
  const TrainingStart start = Match(other, from, true);
  // The first block itself, and the weights of the second, which read its filters.
  EXPECT_THAT(start.new_layers, ElementsAre("conv1", "norm1", "squeeze1", "conv2"));
  EXPECT_THAT(start.taken_layers, ElementsAre("norm2", "conv3", "norm3", "dense1", "output"));
}

TEST(TrainingStartTest, TakesTheOutputOfTheSameClassesOnly) {
  const Architecture network = SmallOptions().architecture;
  EXPECT_THAT(Match(network, network, true).new_layers, IsEmpty());
  EXPECT_THAT(Match(network, network, false).new_layers, ElementsAre("output"));
}

TEST(TrainingStartTest, ALayerThatTheModelLacksCannotBeTaken) {
  const TrainingOptions options = SmallOptions();
  Architecture other = options.architecture;
  other.classes = 7;
  const TrainedModel from = TrainedModel::Initial(other, 1);
  TrainedModel model = TrainedModel::Initial(options.architecture, 2);
  EXPECT_THAT(TakeLayers({"output"}, from, &model).message(), HasSubstr("output.weight"));
  EXPECT_THAT(TakeLayers({"conv9"}, from, &model).message(), HasSubstr("conv9"));
  EXPECT_TRUE(TakeLayers({"conv2"}, from, &model).ok());
  EXPECT_EQ(*model.Find("conv2.weight"), *from.Find("conv2.weight"));
}

TEST(TrainingStartTest, FreezingCountsConvolutionsAndDenseLayers) {
  const Architecture network = SmallOptions().architecture;
  EXPECT_EQ(WeightLayerCount(network), 5);
  EXPECT_THAT(FrozenLayers(network, 0), IsEmpty());
  EXPECT_THAT(FrozenLayers(network, 1), ElementsAre("conv1", "norm1", "squeeze1"));
  EXPECT_THAT(FrozenLayers(network, 2),
              ElementsAre("conv1", "norm1", "squeeze1", "conv2", "norm2"));
  EXPECT_THAT(FrozenLayers(network, 4), Contains("dense1"));
  EXPECT_THAT(FrozenLayers(network, 4), Not(Contains("output")));
}

TEST(TrainingStartTest, AProjectionIsFrozenWithTheFirstLayerOfItsBlock) {
  const Architecture network = EverythingOptions().architecture;
  EXPECT_THAT(FrozenLayers(network, 1), ElementsAre("conv1", "norm1"));
  EXPECT_THAT(FrozenLayers(network, 2), Contains("residual1"));
  EXPECT_THAT(FrozenLayers(network, 2), Not(Contains("residual3")));
}

TEST(TrainingStartTest, FrozenTensorsAreThoseOfFrozenLayers) {
  const Architecture network = EverythingOptions().architecture;
  const std::vector<TensorSpec> specs = TensorSpecsOf(network);
  for (int64_t count = 0; count < WeightLayerCount(network); ++count) {
    const std::vector<bool> frozen = FrozenTensors(network, count);
    ASSERT_EQ(frozen.size(), specs.size());
    int64_t trained = 0;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (!frozen[i] && specs[i].trainable) trained += specs[i].size();
      if (specs[i].name == "output.weight") {
        EXPECT_FALSE(frozen[i]);
      } else if (specs[i].name == "conv1.weight") {
        EXPECT_EQ(frozen[i], count > 0);
      }
    }
    EXPECT_EQ(trained, TrainedParameterCount(network, count));
  }
}

class StartPathTest : public testing::TestWithParam<PathCase> {};

INSTANTIATE_TEST_SUITE_P(All, StartPathTest, testing::ValuesIn(AllPaths()),
                         [](const auto& test) { return test.param.name; });

TEST_P(StartPathTest, BeginsWithTheLayersTaken) {
  TrainingOptions options = GetParam().options;
  const TrainedModel from = TrainedModel::Initial(options.architecture, 99);
  options.start.model_version = "models/m/versions/1";
  options.start.taken_layers = {"conv1"};
  auto trainer = Trainer::Create(options, SmallDataset(), {}, &from);
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const TrainedModel begun = (*trainer)->CurrentModel();
  const TrainedModel fresh = TrainedModel::Initial(options.architecture, options.seed);
  EXPECT_EQ(*begun.Find("conv1.weight"), *from.Find("conv1.weight"));
  EXPECT_EQ(*begun.Find("conv2.weight"), *fresh.Find("conv2.weight"));
  EXPECT_NE(*fresh.Find("conv1.weight"), *from.Find("conv1.weight"));
}

// Of every optimiser, with everything that could move a weight without a gradient.
TEST_P(StartPathTest, FrozenLayersDoNotChange) {
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam, Optimizer::kSgd,
                                    Optimizer::kRmsprop, Optimizer::kMuon}) {
    TrainingOptions options = GetParam().options;
    options.optimizer = optimizer;
    options.momentum = 0.9;
    options.weight_decay = 0.1;
    options.average_decay = 0.9;
    options.max_gradient_norm = 1;
    options.epochs = 2;
    options.freeze = 1;
    const TrainedModel from = TrainedModel::Initial(options.architecture, 99);
    options.start = Match(options.architecture, options.architecture, true);
    auto trainer = Trainer::Create(options, SmallDataset(), {}, &from);
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    const auto outcome = (*trainer)->Run();
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->path, ComputePath::kLibTorch);
    const TrainedModel trained = (*trainer)->CurrentModel();
    const std::vector<bool> frozen = FrozenTensors(options.architecture, options.freeze);
    for (size_t i = 0; i < frozen.size(); ++i) {
      EXPECT_EQ(trained.tensors[i] == from.tensors[i], frozen[i])
          << OptimizerName(optimizer) << " " << from.tensors[i].name;
    }
  }
}

// All but the output: the pass before it is that of inference.
TEST(TrainingStartTest, FrozenBatchNormUsesItsRunningStatistics) {
  TrainingOptions options = SmallOptions();
  options.architecture.dropout = 0;
  TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  for (NamedTensor& tensor : model.tensors) {
    if (tensor.name == "norm1.running_mean") std::fill_n(tensor.values.begin(), 2, 0.2F);
    if (tensor.name == "norm2.running_var") std::fill_n(tensor.values.begin(), 2, 0.5F);
  }
  options.freeze = WeightLayerCount(options.architecture) - 1;
  const LabeledImages& images = SmallDataset()->training();
  TrainingEngine engine(options, images, model);
  const std::vector<int32_t> batch = FirstIndices(64);
  const PassResult pass = engine.Step(batch, 0, 0.001);
  const auto scores = ScoreImages(*Compile(model), images, batch, 64, engine.team(), nullptr);
  ASSERT_TRUE(scores.ok());
  double loss = 0;
  for (const ImageScore& score : *scores) loss += score.loss;
  EXPECT_NEAR(pass.loss_sum, loss, 1e-3);
  EXPECT_EQ(engine.Weights()[3], model.tensors[3]);
}

TEST(TrainingStartTest, NotEverythingCanBeFrozen) {
  TrainingOptions options = SmallOptions();
  options.freeze = 5;
  EXPECT_THAT(options.Validate(*SmallDataset()).message(),
              HasSubstr("freeze is 5, it must be 0 to 4"));
  options.freeze = -1;
  EXPECT_THAT(options.Validate(*SmallDataset()).message(), HasSubstr("freeze is -1"));
}

TEST(TrainingStartTest, TheFingerprintKnowsTheStart) {
  const TrainingOptions options = SmallOptions();
  const auto differs = [&](const auto& change) {
    TrainingOptions other = options;
    change(other);
    return other.Fingerprint(*SmallDataset()) != options.Fingerprint(*SmallDataset());
  };
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.start.model_version = "models/m"; }));
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.start.sha256 = "00"; }));
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.start.taken_layers = {"conv1"}; }));
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.start.continued_job = "jobs/a"; }));
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.freeze = 1; }));
  EXPECT_TRUE(differs([](TrainingOptions& other) { other.schedule_start_epoch = 1; }));
}

// Trains to the end in a folder; asks to suspend after `steps` if that is not negative.
struct StartedTraining {
  TrainingOutcome outcome;
  TrainedModel model;
};

absl::StatusOr<StartedTraining> TrainIn(const TrainingOptions& options, const std::string& folder,
                                        const std::string& continue_from = "", int64_t steps = -1,
                                        const TrainedModel* start = nullptr) {
  struct Ender : TrainingObserver {
    void OnStep(const StepProgress& progress) override {
      if (progress.global_step == last) stop.Suspend();
    }
    int64_t last = -1;
    StopSignal stop;
  } ender;
  ender.last = steps;
  CheckpointOptions checkpoints;
  checkpoints.dir = folder;
  checkpoints.resume_from = {folder};
  checkpoints.continue_from = continue_from;
  auto trainer = Trainer::Create(options, SmallDataset(), checkpoints, start);
  if (!trainer.ok()) return trainer.status();
  const auto outcome = (*trainer)->Run(&ender, &ender.stop);
  if (!outcome.ok()) return outcome.status();
  return StartedTraining{*outcome, (*trainer)->CurrentModel()};
}

TEST_P(StartPathTest, AContinuedTrainingGoesOnAsIfItHadNeverEnded) {
  TrainingOptions options = GetParam().options;
  options.average_decay = 0.9;
  options.epochs = 2;
  const TemporaryFolder first;
  ASSERT_TRUE(TrainIn(options, first.path()).ok());
  options.epochs = 4;
  const TemporaryFolder straight;
  const auto expected = TrainIn(options, straight.path());
  ASSERT_TRUE(expected.ok());
  options.start.continued_job = "jobs/first";
  const TemporaryFolder second;
  const auto suspended = TrainIn(options, second.path(), first.path(), 40);
  ASSERT_TRUE(suspended.ok()) << suspended.status();
  EXPECT_EQ(suspended->outcome.end, TrainingOutcome::End::kSuspended);
  const auto continued = TrainIn(options, second.path(), first.path());
  ASSERT_TRUE(continued.ok()) << continued.status();
  EXPECT_EQ(continued->model, expected->model);
  EXPECT_EQ(continued->outcome.history.size(), 4U);
}

TEST_P(StartPathTest, AStartedTrainingIsResumedFromItsCheckpoint) {
  TrainingOptions options = GetParam().options;
  options.epochs = 2;
  options.freeze = 1;
  options.start = Match(options.architecture, options.architecture, true);
  const TrainedModel from = TrainedModel::Initial(options.architecture, 99);
  const TemporaryFolder straight;
  const auto expected = TrainIn(options, straight.path(), "", -1, &from);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const TemporaryFolder halted;
  ASSERT_TRUE(TrainIn(options, halted.path(), "", 7, &from).ok());
  const auto resumed = TrainIn(options, halted.path(), "", -1, &from);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->model, expected->model);
}

TEST(TrainingStartTest, OnlySomeOptionsChangeWhenATrainingIsContinued) {
  TrainingOptions options = SmallOptions();
  options.epochs = 1;
  const TemporaryFolder first;
  ASSERT_TRUE(TrainIn(options, first.path()).ok());
  const TemporaryFolder second;
  options.epochs = 2;
  options.seed = 12;
  const auto refused = TrainIn(options, second.path(), first.path());
  EXPECT_EQ(ReasonOf(refused.status()), FailureReason::kInvalidSpec);
  EXPECT_THAT(refused.status().message(), HasSubstr("seed"));
  options.seed = SmallOptions().seed;
  options.learning_rate = 0.0001;
  options.schedule = Schedule::kOneCycle;
  options.schedule_start_epoch = 1;
  options.freeze = 1;
  EXPECT_TRUE(TrainIn(options, second.path(), first.path()).ok());
}

TEST(TrainingStartTest, WithoutACheckpointNothingIsContinued) {
  const TemporaryFolder empty;
  const TemporaryFolder second;
  const auto refused = TrainIn(SmallOptions(), second.path(), empty.path());
  EXPECT_THAT(refused.status().message(), HasSubstr("no checkpoint"));
}

// No epoch after the first is better by that much, so patience alone decides.
TEST(TrainingStartTest, PatienceCountsFromWhereATrainingIsContinued) {
  TrainingOptions options = SmallOptions();
  options.patience = 2;
  options.min_delta = 0.99;
  options.monitor = Monitor::kValidationAccuracy;
  options.epochs = 10;
  const TemporaryFolder first;
  const auto ended = TrainIn(options, first.path());
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->outcome.history.size(), 3U);
  const TemporaryFolder second;
  const auto continued = TrainIn(options, second.path(), first.path());
  ASSERT_TRUE(continued.ok());
  EXPECT_EQ(continued->outcome.end, TrainingOutcome::End::kEarlyStop);
  EXPECT_EQ(continued->outcome.history.size(), 5U);
}

TEST(TrainingStartTest, AScheduleCanBeginLater) {
  TrainingOptions options = SmallOptions();
  options.schedule = Schedule::kOneCycle;
  options.epochs = 2;
  const double first = options.LearningRateAt(0, 20);
  const double last = options.LearningRateAt(19, 20);
  options.epochs = 5;
  options.schedule_start_epoch = 3;
  EXPECT_DOUBLE_EQ(options.LearningRateAt(30, 50), first);
  EXPECT_DOUBLE_EQ(options.LearningRateAt(49, 50), last);
  options.schedule = Schedule::kStep;
  options.step_epochs = 1;
  EXPECT_DOUBLE_EQ(options.LearningRateAt(39, 50), options.learning_rate);
  EXPECT_DOUBLE_EQ(options.LearningRateAt(40, 50), options.learning_rate * options.step_factor);
}

}  // namespace
}  // namespace atelier::models
