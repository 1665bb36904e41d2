// Optimisers, schedules, clipping, class weights and what is monitored, in whole trainings.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/files/sha256.h"
#include "models/training/checkpoint.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
#include "models/training/training_engine.h"
#include "models/training/validation.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct OptimizerCase {
  const char* name;
  Optimizer optimizer;
  double learning_rate;
  double momentum;
  bool nesterov;
  // Numbers for each parameter in a checkpoint.
  size_t vectors;
};

constexpr OptimizerCase kOptimizers[] = {
    {"AdamW", Optimizer::kAdamW, 0.003, 0, false, 2},
    {"Adam", Optimizer::kAdam, 0.003, 0, false, 2},
    {"Sgd", Optimizer::kSgd, 0.1, 0, false, 0},
    {"SgdWithMomentum", Optimizer::kSgd, 0.03, 0.9, true, 1},
    {"Rmsprop", Optimizer::kRmsprop, 0.001, 0, false, 1},
    {"RmspropWithMomentum", Optimizer::kRmsprop, 0.0003, 0.9, false, 2},
    {"Muon", Optimizer::kMuon, 0.003, 0.95, true, 3},
};

// Every choice besides the optimiser as well, so that none breaks what holds of it.
TrainingOptions ChosenOptions(const OptimizerCase& which, TrainingOptions options) {
  options.optimizer = which.optimizer;
  options.learning_rate = which.learning_rate;
  options.momentum = which.momentum;
  options.nesterov = which.nesterov;
  options.weight_decay = 0.001;
  options.schedule = Schedule::kCosine;
  options.max_gradient_norm = 5;
  options.balance_classes = true;
  options.monitor = Monitor::kMacroF1;
  return options;
}

class StopAfter : public TrainingObserver {
 public:
  explicit StopAfter(int64_t step) : step_(step) {}
  void OnStep(const StepProgress& progress) override {
    if (progress.global_step == step_) stop.Suspend();
  }
  StopSignal stop;

 private:
  const int64_t step_;
};

struct Ended {
  TrainingOutcome outcome;
  TrainedModel model;
};

// Suspended after a step, where one is given.
Ended TrainChoices(const TrainingOptions& options, const CheckpointOptions& checkpoints = {},
                   int64_t suspend_after = -1) {
  StopAfter observer(suspend_after);
  auto trainer = Trainer::Create(options, SmallDataset(), checkpoints);
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  if (!trainer.ok()) return {};
  const auto outcome = (*trainer)->Run(&observer, &observer.stop);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  if (!outcome.ok()) return {};
  return {*outcome, (*trainer)->CurrentModel()};
}

class OptimizerTest : public testing::TestWithParam<OptimizerCase> {};

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest, testing::ValuesIn(kOptimizers),
                         [](const auto& test) { return test.param.name; });

TEST_P(OptimizerTest, LearnsOnBothPaths) {
  for (const TrainingOptions& path : {SmallOptions(), GeneralOptions()}) {
    const Ended done = TrainChoices(ChosenOptions(GetParam(), path));
    const std::vector<EpochMetrics>& history = done.outcome.history;
    ASSERT_EQ(history.size(), 3U);
    EXPECT_LT(history[2].training_loss, history[0].training_loss);
    EXPECT_GT(history[2].validation_accuracy, 0.25);
    EXPECT_GT(history[2].validation_macro_f1, 0.1);
  }
}

TEST_P(OptimizerTest, ContinuesBitIdenticallyOnAnyNumberOfThreads) {
  for (const TrainingOptions& path : {SmallOptions(), GeneralOptions()}) {
    TrainingOptions options = ChosenOptions(GetParam(), path);
    options.shards = 3;
    options.batch_size = 60;
    const Ended whole = TrainChoices(options);
    for (const int64_t step : {1, 22}) {
      const TemporaryFolder folder;
      options.threads = 2;
      TrainChoices(options, {folder.path(), {}}, step);
      const std::string file = folder.File(absl::StrCat("checkpoint-", step, ".ckpt"));
      const auto state = ReadCheckpoint(file);
      ASSERT_TRUE(state.ok()) << state.status();
      EXPECT_EQ(state->optimizer_state.size(), GetParam().vectors);
      options.threads = 1;
      const Ended rest = TrainChoices(options, {folder.path(), {folder.path()}});
      EXPECT_EQ(rest.model, whole.model) << "suspended after step " << step;
      EXPECT_EQ(rest.outcome.best_epoch, whole.outcome.best_epoch);
    }
  }
}

TEST_P(OptimizerTest, HasAFingerprintOfItsOwn) {
  for (const OptimizerCase& other : kOptimizers) {
    const auto fingerprint = [](const OptimizerCase& which) {
      return ChosenOptions(which, SmallOptions()).Fingerprint(*SmallDataset());
    };
    EXPECT_EQ(fingerprint(GetParam()) == fingerprint(other), GetParam().name == other.name);
  }
}

// Turns a checkpoint into one of a version that knew Adam alone.
std::string WithoutLaterFields(const std::string& bytes) {
  const size_t line = bytes.find('\n') + 1;
  uint64_t length = 0;
  std::memcpy(&length, &bytes[line], sizeof(length));
  auto object = nlohmann::ordered_json::parse(bytes.substr(line + sizeof(length), length));
  EXPECT_EQ(object.erase("moment_vectors"), 1U);
  for (auto& epoch : object["history"]) EXPECT_EQ(epoch.erase("validation_macro_f1"), 1U);
  const std::string description = object.dump();
  const uint64_t shorter = description.size();
  std::string old = bytes.substr(0, line);
  old.append(reinterpret_cast<const char*>(&shorter), sizeof(shorter));
  const size_t numbers = line + sizeof(length) + length;
  old += description + bytes.substr(numbers, bytes.size() - numbers - 64);
  return old + Sha256Of(old);
}

TEST(TrainingChoicesTest, AnOldCheckpointOfADefaultTrainingIsContinued) {
  const Ended whole = TrainChoices(SmallOptions());
  const TemporaryFolder folder;
  TrainChoices(SmallOptions(), {folder.path(), {}}, 22);
  const TemporaryFolder old;
  old.Write("checkpoint-22.ckpt", WithoutLaterFields(folder.Read("checkpoint-22.ckpt")));
  auto trainer = Trainer::Create(SmallOptions(), SmallDataset(), {old.path(), {old.path()}});
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  ASSERT_TRUE((*trainer)->resumed().has_value());
  EXPECT_EQ((*trainer)->resumed()->history[0].validation_macro_f1, 0);
  ASSERT_TRUE((*trainer)->Run().ok());
  EXPECT_EQ((*trainer)->CurrentModel(), whole.model);
}

TEST(TrainingChoicesTest, TheFingerprintNamesNothingNewOfADefaultTraining) {
  const auto fingerprint =
      nlohmann::ordered_json::parse(SmallOptions().Fingerprint(*SmallDataset()));
  std::vector<std::string> names;
  for (const auto& [name, value] : fingerprint.items()) {
    names.push_back(name);
  }
  EXPECT_THAT(names, testing::ElementsAre(
                         "architecture", "epochs", "batch_size", "patience", "validation_fraction",
                         "seed", "learning_rate", "schedule", "warmup_fraction", "horizontal_flip",
                         "shift", "erasing", "label_smoothing", "weight_decay", "average_decay",
                         "adam_beta1", "adam_beta2", "adam_epsilon", "batch_norm_momentum",
                         "precision", "shards", "method", "dataset"));
}

TEST(TrainingOptionsTest, LowersTheLearningRateAlongACosine) {
  TrainingOptions options;
  options.learning_rate = 0.01;
  options.schedule = Schedule::kCosine;
  options.warmup_fraction = 0.2;
  EXPECT_NEAR(options.LearningRateAt(100, 1000), 0.005, 1e-4);
  EXPECT_NEAR(options.LearningRateAt(200, 1000), 0.01, 1e-5);
  // A quarter and a half of the way down.
  EXPECT_NEAR(options.LearningRateAt(400, 1000), 0.01 * (1 + std::sqrt(0.5)) / 2, 1e-4);
  EXPECT_NEAR(options.LearningRateAt(600, 1000), 0.005, 1e-4);
  EXPECT_LT(options.LearningRateAt(999, 1000), 1e-7);
  EXPECT_GT(options.LearningRateAt(999, 1000), 0);
  options.warmup_fraction = 0;
  EXPECT_NEAR(options.LearningRateAt(0, 1000), 0.01, 1e-7);
  EXPECT_THAT(std::string(options.Validate(*SmallDataset()).message()),
              Not(HasSubstr("warmup_fraction")));
}

TEST(TrainingOptionsTest, LowersTheLearningRateInSteps) {
  TrainingOptions options;
  options.epochs = 5;
  options.learning_rate = 0.08;
  options.schedule = Schedule::kStep;
  options.step_factor = 0.5;
  options.step_epochs = 2;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const double rate = 0.08 * std::pow(0.5, epoch / 2);
    EXPECT_DOUBLE_EQ(options.LearningRateAt(epoch * 7, 35), rate);
    EXPECT_DOUBLE_EQ(options.LearningRateAt(epoch * 7 + 6, 35), rate);
  }
}

// What is wrong with options that differ from small ones.
template <typename Change>
std::string ProblemWith(const Change& change) {
  TrainingOptions options = SmallOptions();
  change(options);
  const absl::Status status = options.Validate(*SmallDataset());
  EXPECT_TRUE(status.ok() || ReasonOf(status) == FailureReason::kInvalidSpec);
  return std::string(status.message());
}

TEST(TrainingOptionsTest, NamesWrongChoices) {
  const std::string problem = ProblemWith([](TrainingOptions& options) {
    options.momentum = 1;
    options.step_factor = 0;
    options.step_epochs = 0;
    options.max_gradient_norm = -1;
    options.min_delta = std::nan("");
    options.class_weights = {1, 2, -1};
  });
  for (const char* part : {"momentum is 1, it must be at least 0 and below 1",
                           "step_factor is 0, it must be above 0 and below 1",
                           "step_epochs is 0, it must be 1 to 10000",
                           "max_gradient_norm is -1, it must be 0 to 1000000", "min_delta is nan",
                           "class_weights has 3 numbers, it must have 10", "class_weights is -1"}) {
    EXPECT_THAT(problem, HasSubstr(part));
  }
  EXPECT_THAT(ProblemWith([](TrainingOptions& options) { options.nesterov = true; }),
              HasSubstr("nesterov is true, but momentum is 0"));
  EXPECT_THAT(ProblemWith([](TrainingOptions& options) {
                options.class_weights = std::vector<double>(10, 0.0);
              }),
              HasSubstr("class_weights are all 0"));
  EXPECT_THAT(ProblemWith([](TrainingOptions& options) {
                options.class_weights = std::vector<double>(10, 1.0);
                options.balance_classes = true;
              }),
              HasSubstr("give one of the two"));
}

TEST(TrainingOptionsTest, MuonNeedsAHiddenMatrix) {
  TrainingOptions options = SmallOptions();
  options.optimizer = Optimizer::kMuon;
  EXPECT_TRUE(options.Validate(*SmallDataset()).ok());
  options.architecture.network = NetworkOf("layers { dense { units: 8 } }");
  EXPECT_THAT(
      std::string(options.Validate(*SmallDataset()).message()),
      HasSubstr("optimizer is muon: muon is for weight matrices between the first layer and "
                "the output, and this network has none; use adamw"));
  options.optimizer = Optimizer::kSgd;
  EXPECT_TRUE(options.Validate(*SmallDataset()).ok());
}

TEST(TrainingOptionsTest, HiddenMatricesAreNeitherTheFirstNorTheLast) {
  const Architecture network = *Architecture::FromPreset("cnn-3-attention", {1, 28, 28}, 10, 0);
  const std::vector<TensorSpec> specs = TensorSpecsOf(network);
  std::vector<std::string> names;
  for (const size_t i : HiddenMatrices(network)) names.push_back(specs[i].name);
  EXPECT_THAT(names, testing::Contains("conv2.weight"));
  EXPECT_THAT(names, testing::Contains("dense1.weight"));
  EXPECT_THAT(names, Not(testing::Contains("conv1.weight")));
  EXPECT_THAT(names, Not(testing::Contains("output.weight")));
  EXPECT_THAT(names, Not(testing::Contains("norm2.weight")));
}

// The length of a step of SGD at a learning rate of 1 is that of its gradient.
double StepLength(TrainingOptions options) {
  options.optimizer = Optimizer::kSgd;
  options.architecture.dropout = 0;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine engine(options, SmallDataset()->training(), model);
  engine.Step(FirstIndices(64), 0, 1);
  const std::vector<NamedTensor> after = engine.Weights();
  const std::vector<TensorSpec> specs = TensorSpecsOf(options.architecture);
  double sum = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    for (size_t j = 0; specs[i].trainable && j < after[i].values.size(); ++j) {
      sum += std::pow(after[i].values[j] - model.tensors[i].values[j], 2);
    }
  }
  return std::sqrt(sum);
}

TEST(TrainingChoicesTest, GradientsAreClippedToTheirNorm) {
  for (TrainingOptions options : {SmallOptions(), GeneralOptions()}) {
    const double plain = StepLength(options);
    ASSERT_GT(plain, 0.1);
    options.max_gradient_norm = plain / 3;
    EXPECT_NEAR(StepLength(options), plain / 3, 1e-4 * plain);
    options.max_gradient_norm = 2 * plain;
    EXPECT_NEAR(StepLength(options), plain, 1e-6 * plain);
  }
}

TEST(TrainingChoicesTest, ABatchWithoutWeightChangesNothing) {
  TrainingOptions options = SmallOptions();
  options.optimizer = Optimizer::kSgd;
  const LabeledImages& images = SmallDataset()->training();
  options.class_weights = std::vector<double>(10, 1.0);
  options.class_weights[images.labels[0]] = 0;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine engine(options, images, model);
  const PassResult result = engine.Step({0}, 0, 0.1);
  EXPECT_GT(result.loss_sum, 0) << "the loss that is told has no weights";
  const NamedTensor& before = model.tensors[0];
  EXPECT_EQ(engine.Weights()[0], before);
}

TEST(TrainingChoicesTest, BalancedClassesWeighTheSame) {
  // The first 100 images of class 0, the first 20 of all others.
  const auto all = SmallDataset();
  std::vector<int64_t> counts(10);
  std::vector<uint8_t> pixels;
  std::vector<ClassLabel> labels;
  const auto size = static_cast<size_t>(all->shape().size());
  for (int64_t i = 0; i < all->training().size(); ++i) {
    const ClassLabel label = all->training().labels[static_cast<size_t>(i)];
    if (counts[label]++ >= (label == 0 ? 80 : 20)) continue;
    const auto from = all->training().pixels.begin() + i * static_cast<int64_t>(size);
    pixels.insert(pixels.end(), from, from + static_cast<int64_t>(size));
    labels.push_back(label);
  }
  const auto dataset =
      *Dataset::Create(all->shape(), all->class_names(), {std::move(pixels), std::move(labels)},
                       FirstImages(*all, SplitName::kTest, 300));
  TrainingOptions options = SmallOptions();
  options.balance_classes = true;
  options.batch_size = 50;
  options.epochs = 1;
  const auto weights = [&] {
    auto trainer = *Trainer::Create(options, dataset);
    EXPECT_TRUE(trainer->Run().ok());
    return trainer->CurrentModel();
  };
  const TrainedModel balanced = weights();
  // 72 of 234 images that are trained on, and 18.
  options.balance_classes = false;
  EXPECT_NE(weights(), balanced);
  options.class_weights = std::vector<double>(10, 234.0 / 180);
  options.class_weights[0] = 234.0 / 720;
  EXPECT_EQ(weights(), balanced);
}

EpochMetrics Epoch(double loss, double accuracy, double macro_f1) {
  EpochMetrics metrics;
  metrics.validation_loss = loss;
  metrics.validation_accuracy = accuracy;
  metrics.validation_macro_f1 = macro_f1;
  return metrics;
}

TEST(ValidationTest, WhatIsMonitoredDecides) {
  const EpochMetrics best = Epoch(0.5, 0.8, 0.7);
  const auto better = [&](Monitor monitor, double min_delta, const EpochMetrics& now) {
    TrainingOptions options;
    options.monitor = monitor;
    options.min_delta = min_delta;
    return IsBetter(options, now, best);
  };
  EXPECT_TRUE(better(Monitor::kValidationLoss, 0, Epoch(0.49, 0.7, 0.6)));
  EXPECT_FALSE(better(Monitor::kValidationLoss, 0, Epoch(0.5, 0.9, 0.9)));
  EXPECT_FALSE(better(Monitor::kValidationLoss, 0.05, Epoch(0.46, 0.9, 0.9)));
  EXPECT_TRUE(better(Monitor::kValidationLoss, 0.05, Epoch(0.44, 0.7, 0.6)));
  EXPECT_TRUE(better(Monitor::kValidationAccuracy, 0, Epoch(0.6, 0.81, 0.6)));
  EXPECT_FALSE(better(Monitor::kValidationAccuracy, 0, Epoch(0.4, 0.8, 0.9)));
  EXPECT_FALSE(better(Monitor::kValidationAccuracy, 0.02, Epoch(0.4, 0.81, 0.9)));
  EXPECT_TRUE(better(Monitor::kMacroF1, 0, Epoch(0.6, 0.7, 0.71)));
  EXPECT_FALSE(better(Monitor::kMacroF1, 0.02, Epoch(0.4, 0.9, 0.71)));
}

TEST(ValidationTest, AnImprovementThatDoesNotCountEndsTheTraining) {
  TrainingOptions options = SmallOptions();
  options.epochs = 10;
  options.patience = 2;
  options.min_delta = 0.99;
  options.monitor = Monitor::kValidationAccuracy;
  const Ended done = TrainChoices(options);
  EXPECT_EQ(done.outcome.end, TrainingOutcome::End::kEarlyStop);
  EXPECT_EQ(done.outcome.best_epoch, 1);
  EXPECT_EQ(done.outcome.history.size(), 3U);
  for (const EpochMetrics& metrics : done.outcome.history) {
    EXPECT_EQ(metrics.best, metrics.epoch == 1);
  }
}

TEST(ValidationTest, ComesToLossAccuracyAndMacroF1) {
  const std::vector<int32_t> indices = FirstIndices(4);
  std::vector<ImageScore> scores(4);
  for (size_t i = 0; i < 4; ++i) {
    scores[i].loss = static_cast<float>(i);
    scores[i].predicted_class = SmallDataset()->training().labels[i];
  }
  const ValidationMetrics right = Validated(scores, *SmallDataset(), indices);
  EXPECT_EQ(right.loss, 1.5);
  EXPECT_EQ(right.accuracy, 1);
  scores[0].predicted_class = (scores[0].predicted_class + 1) % 10;
  const ValidationMetrics wrong = Validated(scores, *SmallDataset(), indices);
  EXPECT_EQ(wrong.accuracy, 0.75);
  EXPECT_LT(wrong.macro_f1, right.macro_f1);
  // One class of two: precision 1 and recall 1/2, or 1/2 and 1.
  EXPECT_DOUBLE_EQ(MacroF1(ClassMetricsOf({{1, 1}, {0, 2}})), (2.0 / 3 + 4.0 / 5) / 2);
}

}  // namespace
}  // namespace atelier::models
