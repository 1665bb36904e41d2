// The engine against plain LibTorch: the same network written the ordinary way.
#include "models/training/training_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "models/base/random.h"
#include "models/base/thread_team.h"
#include "models/compute/compile.h"
#include "models/network/presets.h"
#include "models/torch/network.h"
#include "models/training/scoring.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

// Gradients as the first Adam step leaves them behind: the first moment is (1 - beta1) of them.
std::vector<float> GradientsOfFirstStep(const TrainingEngine& engine,
                                        const TrainingOptions& options) {
  std::vector<float> gradients = engine.FirstMoment();
  for (float& g : gradients) g /= static_cast<float>(1 - options.adam_beta1);
  return gradients;
}

std::vector<int32_t> FirstIndices(int32_t count) {
  std::vector<int32_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

class PresetGradientTest : public testing::TestWithParam<std::string> {};

TEST_P(PresetGradientTest, ReachesEveryParameter) {
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), {1, 28, 28}, 10, 0.3);
  TrainingEngine engine(options, SmallDataset()->training(),
                        TrainedModel::Initial(options.architecture, 1));
  engine.Step(FirstIndices(32), 0, options.learning_rate);
  const std::vector<float> gradients = GradientsOfFirstStep(engine, options);
  size_t offset = 0;
  for (const TensorSpec& spec : TensorSpecsOf(options.architecture)) {
    if (!spec.trainable) continue;
    const auto begin = gradients.begin() + static_cast<int64_t>(offset);
    const auto zeros = std::count(begin, begin + spec.size(), 0.0F);
    EXPECT_LT(zeros, spec.size() / 2 + 1) << spec.name;
    offset += static_cast<size_t>(spec.size());
  }
  EXPECT_EQ(offset, gradients.size());
}

// Colour images of another size and number of classes build, train and count as they should.
TEST_P(PresetGradientTest, TrainsOnOtherShapes) {
  const ImageShape shape = {3, 32, 24};
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < 8 * shape.size(); ++i) {
    pixels.push_back(static_cast<uint8_t>(i * i % 251));
  }
  std::vector<uint8_t> labels;
  for (int i = 0; i < 8; ++i) labels.push_back(static_cast<uint8_t>(6 * i));
  const LabeledImages images = {std::move(pixels), std::move(labels)};
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), shape, 47, 0);
  TrainingEngine engine(options, images, TrainedModel::Initial(options.architecture, 1));
  const double before = engine.Step(FirstIndices(8), 0, options.learning_rate).loss_sum;
  double after = before;
  for (int64_t step = 1; step < 6; ++step)
    after = engine.Step(FirstIndices(8), step, options.learning_rate).loss_sum;
  EXPECT_LT(after, before);
}

// What is told of a network is what LibTorch computes of it.
TEST_P(PresetGradientTest, IsScoredAsLibTorchScoresIt) {
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), {1, 28, 28}, 10, 0);
  const LabeledImages& images = SmallDataset()->training();
  TrainingEngine engine(options, images, TrainedModel::Initial(options.architecture, 1));
  for (int64_t step = 0; step < 3; ++step) engine.Step(FirstIndices(40), step, 0.001);
  const TrainedModel model = {options.architecture, engine.Weights()};
  const std::vector<int32_t> indices = FirstIndices(70);
  ThreadTeam team(2);
  const auto scores = ScoreImages(*Compile(model), images, indices, 32, team, nullptr);
  ASSERT_TRUE(scores.ok()) << scores.status();

  const at::InferenceMode inference;
  const at::Tensor expected =
      at::log_softmax(InferenceLogits(model.architecture, TensorsOf(model),
                                      GatherImages(model.architecture, images, indices)),
                      1);
  for (size_t i = 0; i < indices.size(); ++i) {
    const at::Tensor row = expected[static_cast<int64_t>(i)];
    const ImageScore& score = (*scores)[i];
    EXPECT_NEAR(score.loss, -row[images.labels[i]].item<float>(), 1e-3) << i;
    EXPECT_NEAR(score.probability, row.max().exp().item<float>(), 1e-3) << i;
    EXPECT_NEAR(std::log(score.probability), row[score.predicted_class].item<float>(), 1e-3) << i;
  }
}

TEST_P(PresetGradientTest, IsScoredAlikeOnBothPaths) {
  const auto architecture = *Architecture::FromPreset(GetParam(), {1, 28, 28}, 10, 0);
  const TrainedModel model = TrainedModel::Initial(architecture, 3);
  const LabeledImages& images = SmallDataset()->training();
  const std::vector<int32_t> indices = FirstIndices(50);
  ThreadTeam team(2);
  const auto kernels = Compile(model);
  EXPECT_EQ(kernels->path(), ComputePath::kKernels);
  const auto ours = ScoreImages(*kernels, images, indices, 32, team, nullptr);
  const auto torch = Compile(model, {Precision::kFloat32, Device::kCpu, PathChoice::kLibTorch});
  EXPECT_EQ(torch->path(), ComputePath::kLibTorch);
  const auto theirs = ScoreImages(*torch, images, indices, 32, team, nullptr);
  ASSERT_TRUE(ours.ok() && theirs.ok()) << ours.status() << theirs.status();
  for (size_t i = 0; i < indices.size(); ++i) {
    EXPECT_NEAR((*ours)[i].loss, (*theirs)[i].loss, 1e-3) << i;
    EXPECT_NEAR((*ours)[i].probability, (*theirs)[i].probability, 1e-3) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PresetGradientTest, testing::ValuesIn(PresetNames()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

constexpr int64_t kNoPadding = 0;

// A network without dropout, as a LibTorch user would write it.
at::Tensor PlainLogits(const Architecture& network, const std::vector<at::Tensor>& tensors,
                       at::Tensor x) {
  const at::Tensor* t = tensors.data();
  std::vector<at::Tensor> outputs;
  for (const ConvBlock& block : network.conv_blocks) {
    const int64_t above = (block.kernel_height - 1) / 2;
    const int64_t left = (block.kernel_width - 1) / 2;
    x = at::constant_pad_nd(
        x, {left, block.kernel_width - 1 - left, above, block.kernel_height - 1 - above});
    x = at::relu(at::conv2d(x, t[0], t[1], block.stride, kNoPadding, 1, block.groups));
    x = at::batch_norm(x, t[2], t[3], {}, {}, true, 0.01, network.batch_norm_epsilon, false);
    if (block.pool > 1) x = at::max_pool2d(x, block.pool);
    t += 6;
    if (block.squeeze > 0) {
      const at::Tensor means = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
      const at::Tensor hidden = at::relu(at::linear(means, t[0], t[1]));
      x = x * at::sigmoid(at::linear(hidden, t[2], t[3])).unsqueeze(2).unsqueeze(3);
      t += 4;
    }
    if (block.skip > 0) x = x + outputs.at(outputs.size() - static_cast<size_t>(block.skip));
    outputs.push_back(x);
  }
  if (network.average_features) x = at::adaptive_avg_pool2d(x, {1, 1});
  x = x.flatten(1);
  for (size_t i = 0; i < network.dense_layers.size(); ++i, t += 2) {
    x = at::relu(at::linear(x, t[0], t[1]));
  }
  return at::linear(x, t[0], t[1]);
}

// Images without equal neighbours.
LabeledImages NoisyImages(ImageShape shape, int64_t classes, int64_t count) {
  std::vector<uint8_t> pixels;
  std::vector<uint8_t> labels;
  RandomStream random(7, RandomPurpose::kWeights);
  for (int64_t i = 0; i < count * shape.size(); ++i) {
    pixels.push_back(static_cast<uint8_t>(random.NextBelow(256)));
  }
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<uint8_t>(random.NextBelow(static_cast<uint64_t>(classes))));
  }
  return {std::move(pixels), std::move(labels)};
}

// The first step's loss and gradients against LibTorch's in double: in float, rounding decides
// which of a window's pixels is the largest, and oneDNN's decides otherwise often enough to be
// seen.
void ExpectPlainGradients(TrainingOptions options, const LabeledImages& images, int32_t count) {
  options.architecture.dropout = 0;
  options.shards = 1;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const std::vector<int32_t> indices = FirstIndices(count);
  TrainingEngine engine(options, images, model);
  const PassResult result = engine.Step(indices, 0, options.learning_rate);
  const std::vector<float> gradients = GradientsOfFirstStep(engine, options);

  std::vector<at::Tensor> tensors = TensorsOf(model);
  const std::vector<TensorSpec> specs = TensorSpecsOf(options.architecture);
  for (size_t i = 0; i < specs.size(); ++i) {
    tensors[i] = tensors[i].to(at::kDouble).set_requires_grad(specs[i].trainable);
  }
  const at::Tensor pixels =
      GatherImages(options.architecture, images, indices).contiguous().to(at::kDouble);
  const at::Tensor logits = PlainLogits(options.architecture, tensors, pixels);
  const at::Tensor labels = GatherLabels(images, indices);
  const at::Tensor loss = at::cross_entropy_loss(logits, labels);
  at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, -100, options.label_smoothing)
      .backward();
  EXPECT_NEAR(result.loss_sum / count, loss.item<double>(), 1e-5);
  int64_t offset = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].trainable) continue;
    const at::Tensor expected = tensors[i].grad().flatten().to(at::kFloat);
    const at::Tensor actual =
        at::from_blob(const_cast<float*>(gradients.data()) + offset, {specs[i].size()});
    const double scale = expected.abs().max().item<float>();
    EXPECT_LE((expected - actual).abs().max().item<float>(), 2e-4 * scale + 1e-6) << specs[i].name;
    offset += specs[i].size();
  }
}

TEST_P(PresetGradientTest, IsThatOfPlainLibTorch) {
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), {1, 28, 28}, 10, 0);
  ExpectPlainGradients(options, SmallDataset()->training(), 32);
  options.architecture = *Architecture::FromPreset(GetParam(), {3, 23, 30}, 47, 0);
  options.label_smoothing = 0.2;
  ExpectPlainGradients(options, NoisyImages({3, 23, 30}, 47, 9), 9);
}

TEST(TrainingEngineTest, HasTheGradientsOfUnusualNetworks) {
  TrainingOptions options = SmallOptions();
  Architecture& network = options.architecture;
  network.input = {2, 17, 11};
  network.classes = 33;
  // Channels around a panel's width, windows that leave pixels over, no pooling at all.
  network.conv_blocks = {{33, 3}, {1, 0}, {70, 1}, {31, 2}};
  network.dense_layers = {65, 7};
  ASSERT_TRUE(network.Validate().ok());
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
  network.dense_layers = {};
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
  // Both extras in one block, sums over one block and over three, an output that two blocks add.
  network.conv_blocks = {{33, 2, 5},  {33, 0, 0, 1}, {40, 1},
                         {33, 0, 33}, {33, 0, 2, 3}, {33, 1, 1, 4}};
  ASSERT_TRUE(network.Validate().ok()) << network.Validate();
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
  network.average_features = true;
  network.dense_layers = {65};
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
}

// Without pooling: see ExpectPlainGradients.
TEST(TrainingEngineTest, HasTheGradientsOfNetworksThatOnlyLibTorchComputes) {
  TrainingOptions options = GeneralOptions();
  Architecture& network = options.architecture;
  network.input = {2, 17, 11};
  network.classes = 33;
  for (ConvBlock& block : network.conv_blocks) block.pool = 0;
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
  network.conv_blocks[0].kernel_width = 4;
  network.conv_blocks[1].kernel_height = 2;
  network.conv_blocks[1].groups = 4;
  network.conv_blocks[1].skip = 1;
  network.conv_blocks[2].squeeze = 4;
  ASSERT_TRUE(network.Validate().ok()) << network.Validate();
  ExpectPlainGradients(options, NoisyImages(network.input, 33, 7), 7);
}

// As it would be on lesser processors than this: our kernels take their widest instructions at run
// time.
TEST(TrainingEngineTest, IsRightWithEveryKindOfInstructions) {
  TrainingOptions options = SmallOptions();
  options.architecture.conv_blocks = {{33, 2, 3}, {40}, {40, 0, 0, 1}};
  options.architecture.dense_layers = {70};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    ExpectPlainGradients(options, NoisyImages(options.architecture.input, 10, 9), 9);
  }
  hwy::GetChosenTarget().DeInit();
}

// Dropout, shards and running statistics, against the same step by LibTorch's operators.
TEST(TrainingEngineTest, StepsAsLibTorchDoes) {
  TrainingOptions options = SmallOptions();
  options.architecture.conv_blocks = {{4, 0}};
  const LabeledImages images = NoisyImages(options.architecture.input, 10, 9);
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine ours(options, images, model);
  options.path_choice = PathChoice::kLibTorch;
  TrainingEngine torch(options, images, model);
  EXPECT_EQ(ours.path(), ComputePath::kKernels);
  EXPECT_EQ(torch.path(), ComputePath::kLibTorch);
  const PassResult result = ours.Step(FirstIndices(9), 3, options.learning_rate);
  const PassResult expected = torch.Step(FirstIndices(9), 3, options.learning_rate);
  EXPECT_NEAR(result.loss_sum, expected.loss_sum, 1e-5 * expected.loss_sum);
  EXPECT_EQ(result.correct, expected.correct);
  const std::vector<NamedTensor> weights = ours.Weights();
  const std::vector<NamedTensor> others = torch.Weights();
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(weights[i].name, others[i].name);
    for (size_t j = 0; j < weights[i].values.size(); ++j) {
      EXPECT_NEAR(weights[i].values[j], others[i].values[j], 2e-5) << weights[i].name;
    }
  }
}

class EnginePathTest : public testing::TestWithParam<PathCase> {};

TEST_P(EnginePathTest, StepsAsKerasAdamDoes) {
  TrainingOptions options = GetParam().options;
  options.learning_rate = 0.001;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine engine(options, SmallDataset()->training(), model);
  engine.Step(FirstIndices(64), 0, options.learning_rate);
  const std::vector<float> gradients = GradientsOfFirstStep(engine, options);
  // The first step's corrections make it rate · g / (|g| + epsilon / sqrt(1 - beta2)).
  const double epsilon = options.adam_epsilon / std::sqrt(1 - options.adam_beta2);
  const NamedTensor& before = model.tensors[0];
  const NamedTensor after = engine.Weights()[0];
  for (size_t i = 0; i < before.values.size(); ++i) {
    const double g = gradients[i];
    EXPECT_NEAR(after.values[i], before.values[i] - 0.001 * g / (std::abs(g) + epsilon), 1e-6);
  }
}

// Running statistics of all blocks after one step of an engine that begins with `model`.
std::vector<float> StatisticsAfter(TrainingOptions options, const TrainedModel& model,
                                   absl::Span<const int32_t> indices, int64_t step) {
  options.architecture.dropout = 0;
  TrainingEngine engine(options, SmallDataset()->training(), model);
  engine.Step(indices, step, options.learning_rate);
  std::vector<float> statistics;
  for (const NamedTensor& tensor : engine.Weights()) {
    if (!absl::StrContains(tensor.name, "running_")) continue;
    statistics.insert(statistics.end(), tensor.values.begin(), tensor.values.end());
  }
  return statistics;
}

// A step that is long past the first ones.
constexpr int64_t kLate = 100'000;

TEST_P(EnginePathTest, StatisticsForgetWhatTheyBeganWith) {
  const TrainingOptions options = GetParam().options;
  TrainedModel zeros_and_ones = TrainedModel::Initial(options.architecture, 5);
  TrainedModel others = zeros_and_ones;
  for (NamedTensor& tensor : others.tensors) {
    if (absl::StrContains(tensor.name, "running_"))
      std::fill(tensor.values.begin(), tensor.values.end(), 50.0F);
  }
  const auto after = [&](const TrainedModel& model, int64_t step) {
    return StatisticsAfter(options, model, FirstIndices(64), step);
  };
  EXPECT_EQ(after(zeros_and_ones, 0), after(others, 0));
  EXPECT_NE(after(zeros_and_ones, 1), after(others, 1)) << "the steps before count";
}

TEST_P(EnginePathTest, StatisticsMoveByTheMomentumAndTheNumberOfImages) {
  TrainingOptions options = GetParam().options;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const auto indices = FirstIndices(16);
  options.batch_size = 16;
  const std::vector<float> target = StatisticsAfter(options, model, indices, 0);
  // An epoch's last batch: a quarter of a full one counts a quarter.
  options.batch_size = 64;
  const std::vector<float> moved = StatisticsAfter(options, model, indices, kLate);
  // The first block's means and variances, which begin as zeros and ones.
  const auto filters = static_cast<size_t>(options.architecture.conv_blocks[0].filters);
  for (size_t i = 0; i < 2 * filters; ++i) {
    const float start = i < filters ? 0 : 1;
    EXPECT_NEAR(moved[i], start + 0.01F / 4 * (target[i] - start), 1e-6) << i;
  }
}

TEST_P(EnginePathTest, ShardsCountByTheirImages) {
  TrainingOptions options = GetParam().options;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const auto statistics = [&](int64_t shards, size_t from, size_t count) {
    options.shards = shards;
    options.batch_size = static_cast<int64_t>(count);
    return StatisticsAfter(options, model,
                           absl::MakeConstSpan(FirstIndices(5)).subspan(from, count), 0);
  };
  const std::vector<float> both = statistics(2, 0, 5);
  const std::vector<float> first = statistics(1, 0, 2);
  const std::vector<float> second = statistics(1, 2, 3);
  for (size_t i = 0; i < both.size(); ++i) {
    EXPECT_NEAR(both[i], (2 * first[i] + 3 * second[i]) / 5, 1e-5);
  }
}

// What both paths draw and smooth is the same.
TEST(TrainingEngineTest, BothPathsAugmentAndSmoothAlike) {
  TrainingOptions options = SmallOptions();
  options.architecture.dropout = 0;
  options.augmentation = {.horizontal_flip = true, .shift = 2, .erasing = 0.5};
  options.label_smoothing = 0.1;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const LabeledImages& images = SmallDataset()->training();
  TrainingEngine ours(options, images, model);
  TrainingOptions by_libtorch = options;
  by_libtorch.path_choice = PathChoice::kLibTorch;
  TrainingEngine plain(by_libtorch, images, model);
  const PassResult result = ours.Step(FirstIndices(32), 0, options.learning_rate);
  const PassResult expected = plain.Step(FirstIndices(32), 0, options.learning_rate);
  EXPECT_NEAR(result.loss_sum, expected.loss_sum, 1e-3);
  options.augmentation = {};
  TrainingEngine other(options, images, model);
  EXPECT_GT(
      std::abs(other.Step(FirstIndices(32), 0, options.learning_rate).loss_sum - result.loss_sum),
      1e-2);
}

TEST_P(EnginePathTest, DecaysAndAveragesTheWeights) {
  TrainingOptions options = GetParam().options;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const LabeledImages& images = SmallDataset()->training();
  TrainingEngine plain(options, images, model);
  EXPECT_EQ(plain.AveragedWeights(), plain.Weights());
  options.weight_decay = 0.5;
  options.average_decay = 0.2;
  TrainingEngine engine(options, images, model);
  EXPECT_EQ(engine.AveragedWeights(), model.tensors);
  const double rate = 0.01;
  plain.Step(FirstIndices(32), 0, rate);
  engine.Step(FirstIndices(32), 0, rate);
  const auto weights = engine.Weights();
  const auto undecayed = plain.Weights();
  const auto average = engine.AveragedWeights();
  for (size_t i = 0; i < weights.size(); ++i) {
    const bool trainable = TensorSpecsOf(options.architecture)[i].trainable;
    for (size_t j = 0; j < weights[i].values.size(); ++j) {
      const float before = model.tensors[i].values[j];
      const float now = weights[i].values[j];
      const double decayed = trainable ? rate * options.weight_decay * before : 0;
      EXPECT_NEAR(now, undecayed[i].values[j] - decayed, 1e-6) << weights[i].name;
      // Step 1 remembers a tenth of the way.
      EXPECT_NEAR(average[i].values[j], 0.1 * before + 0.9 * now, 1e-6) << weights[i].name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EnginePathTest, testing::ValuesIn(AllPaths()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace atelier::models
