// The engine against plain LibTorch: the same network written the ordinary way.
#include "models/training/training_engine.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "models/base/random.h"
#include "models/base/thread_team.h"
#include "models/compute/compile.h"
#include "models/kernels/pair_products.h"
#include "models/network/presets.h"
#include "models/torch/network.h"
#include "models/training/scoring.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

// Gradients as the first Adam step leaves them behind: the first moment is (1 - beta1) of them.
std::vector<float> GradientsOfFirstStep(const TrainingEngine& engine,
                                        const TrainingOptions& options) {
  std::vector<float> gradients = engine.OptimizerState()[0];
  for (float& g : gradients) g /= static_cast<float>(1 - options.adam_beta1);
  return gradients;
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
  std::vector<ClassLabel> labels;
  for (int i = 0; i < 8; ++i) labels.push_back(static_cast<ClassLabel>(6 * i));
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
  const NetworkPlan plan = PlanOf(model.architecture);
  const at::Tensor expected = at::log_softmax(
      InferenceLogits(plan, TensorsOf(model), GatherImages(plan, images, indices)), 1);
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

// Logits of a network, in training and without dropout, as a LibTorch user would write it.
using Plain = std::function<at::Tensor(const std::vector<at::Tensor>& tensors, at::Tensor x)>;

// With the zeros around it that keep its size under such a kernel.
at::Tensor Padded(const at::Tensor& x, int64_t height, int64_t width) {
  const int64_t above = (height - 1) / 2;
  const int64_t left = (width - 1) / 2;
  return at::constant_pad_nd(x, {left, width - 1 - left, above, height - 1 - above});
}

at::Tensor BatchNorm(const at::Tensor& x, const at::Tensor* scale_and_shift, double epsilon) {
  return at::batch_norm(x, scale_and_shift[0], scale_and_shift[1], {}, {}, true, 0.01, epsilon,
                        false);
}

// x times what squeeze and excitation, of the tensors t, make of it.
at::Tensor Gated(const at::Tensor& x, const at::Tensor* t) {
  const at::Tensor means = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
  const at::Tensor hidden = at::relu(at::linear(means, t[0], t[1]));
  return x * at::sigmoid(at::linear(hidden, t[2], t[3])).unsqueeze(2).unsqueeze(3);
}

at::Tensor PlainBlocks(const BlockNetwork& network, const std::vector<at::Tensor>& tensors,
                       at::Tensor x) {
  const at::Tensor* t = tensors.data();
  std::vector<at::Tensor> outputs;
  for (const ConvBlock& block : network.blocks) {
    x = at::relu(at::conv2d(Padded(x, 3, 3), t[0], t[1]));
    x = BatchNorm(x, t + 2, network.batch_norm_epsilon);
    if (block.pool > 1) x = at::max_pool2d(x, block.pool);
    t += 6;
    if (block.squeeze > 0) {
      x = Gated(x, t);
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

// A loss, and the gradients by the trainable tensors.
struct Reference {
  double loss = 0;
  std::vector<std::string> names;
  std::vector<at::Tensor> gradients;
};

// Of a model in double, as a LibTorch user would compute them.
Reference PlainReference(const TrainingOptions& options, const TrainedModel& model,
                         const LabeledImages& images, absl::Span<const int32_t> indices,
                         const Plain& plain) {
  std::vector<at::Tensor> tensors = TensorsOf(model);
  const std::vector<TensorSpec> specs = TensorSpecsOf(options.architecture);
  for (size_t i = 0; i < specs.size(); ++i) {
    tensors[i] = tensors[i].to(at::kDouble).set_requires_grad(specs[i].trainable);
  }
  const at::Tensor pixels =
      GatherImages(PlanOf(options.architecture), images, indices).contiguous().to(at::kDouble);
  const at::Tensor logits = plain(tensors, pixels);
  const at::Tensor labels = GatherLabels(images, indices);
  at::Tensor weights;
  if (!options.class_weights.empty()) weights = at::tensor(options.class_weights, at::kDouble);
  at::cross_entropy_loss(logits, labels, weights, at::Reduction::Mean, -100,
                         options.label_smoothing)
      .backward();
  Reference reference;
  reference.loss = at::cross_entropy_loss(logits, labels).item<double>();
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].trainable) continue;
    reference.names.push_back(specs[i].name);
    reference.gradients.push_back(tensors[i].grad().flatten().to(at::kFloat));
  }
  return reference;
}

// Calls each(i, gradient) with an engine's gradients of the first step by tensor.
void ForEachGradient(const TrainingEngine& engine, const TrainingOptions& options,
                     const Reference& reference,
                     const std::function<void(size_t, const at::Tensor&)>& each) {
  std::vector<float> gradients = GradientsOfFirstStep(engine, options);
  int64_t offset = 0;
  for (size_t i = 0; i < reference.gradients.size(); ++i) {
    const int64_t size = reference.gradients[i].numel();
    each(i, at::from_blob(gradients.data() + offset, {size}));
    offset += size;
  }
}

// The first step's loss and gradients against LibTorch's in double: in float, rounding decides
// which of a window's pixels is the largest, and oneDNN's decides otherwise often enough to be
// seen.
void ExpectPlainGradients(TrainingOptions options, const LabeledImages& images, int32_t count,
                          const Plain& plain) {
  ASSERT_TRUE(options.architecture.Validate().ok()) << options.architecture.Validate();
  options.architecture.dropout = 0;
  options.shards = 1;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const std::vector<int32_t> indices = FirstIndices(count);
  TrainingEngine engine(options, images, model);
  const PassResult result = engine.Step(indices, 0, options.learning_rate);
  const Reference reference = PlainReference(options, model, images, indices, plain);
  EXPECT_NEAR(result.loss_sum / count, reference.loss, 1e-5);
  ForEachGradient(engine, options, reference, [&](size_t i, const at::Tensor& actual) {
    const at::Tensor& expected = reference.gradients[i];
    const double scale = expected.abs().max().item<float>();
    EXPECT_LE((expected - actual).abs().max().item<float>(), 2e-4 * scale + 1e-6)
        << reference.names[i];
  });
}

// The same of a network of blocks, which takes the place of the options'.
void ExpectBlockGradients(TrainingOptions options, const BlockNetwork& blocks,
                          const LabeledImages& images, int32_t count) {
  options.architecture.network = blocks.ToNetwork("");
  ExpectPlainGradients(options, images, count,
                       [&blocks](const std::vector<at::Tensor>& tensors, const at::Tensor& x) {
                         return PlainBlocks(blocks, tensors, x);
                       });
}

TEST_P(PresetGradientTest, IsThatOfPlainLibTorch) {
  TrainingOptions options = SmallOptions();
  const BlockNetwork& blocks = FindPreset(GetParam())->network;
  ExpectBlockGradients(options, blocks, SmallDataset()->training(), 32);
  options.architecture.input = {3, 23, 30};
  options.architecture.classes = 47;
  options.label_smoothing = 0.2;
  ExpectBlockGradients(options, blocks, NoisyImages({3, 23, 30}, 47, 9), 9);
}

// For images of 2×17×11 and 33 classes.
TrainingOptions UnusualOptions() {
  TrainingOptions options = SmallOptions();
  options.architecture.input = {2, 17, 11};
  options.architecture.classes = 33;
  return options;
}

ComputePath PathOf(const BlockNetwork& blocks) {
  Architecture network = UnusualOptions().architecture;
  network.network = blocks.ToNetwork("");
  return Compile(TrainedModel::Initial(network, 1))->path();
}

TEST(TrainingEngineTest, HasTheGradientsOfUnusualNetworks) {
  const TrainingOptions options = UnusualOptions();
  const LabeledImages images = NoisyImages(options.architecture.input, 33, 7);
  BlockNetwork network;
  // Channels around a panel's width, windows that leave pixels over, no pooling at all.
  network.blocks = {{33, 3}, {1, 0}, {70, 1}, {31, 2}};
  network.dense_layers = {65, 7};
  EXPECT_EQ(PathOf(network), ComputePath::kKernels);
  ExpectBlockGradients(options, network, images, 7);
  network.dense_layers = {};
  ExpectBlockGradients(options, network, images, 7);
  // Both extras in one block, sums over one block and over three, sums of sums.
  network.blocks = {{33, 2, 5}, {33, 0, 0, 1}, {40, 1},      {33, 0, 33},
                    {33, 0, 2}, {40, 1, 1, 3}, {40, 0, 1, 1}};
  EXPECT_EQ(PathOf(network), ComputePath::kKernels);
  ExpectBlockGradients(options, network, images, 7);
  network.average_features = true;
  network.dense_layers = {65};
  ExpectBlockGradients(options, network, images, 7);
}

// An output that two blocks add: LibTorch computes it.
TEST(TrainingEngineTest, HasTheGradientsOfBlocksInEachOther) {
  const TrainingOptions options = UnusualOptions();
  BlockNetwork network;
  network.blocks = {{20, 2}, {24, 1, 4}, {20, 0, 0, 2}, {20, 0, 2, 3}, {20, 0, 0, 1}};
  network.dense_layers = {9};
  EXPECT_EQ(PathOf(network), ComputePath::kLibTorch);
  ExpectBlockGradients(options, network, NoisyImages(options.architecture.input, 33, 7), 7);
}

// Without pooling: see ExpectPlainGradients.
TEST(TrainingEngineTest, HasTheGradientsOfNetworksThatOnlyLibTorchComputes) {
  TrainingOptions options = UnusualOptions();
  options.architecture.network = NetworkOf(R"(
    layers { convolution { filters: 8 kernel: 5 kernel_width: 4 stride: 2 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { residual {
      layers { convolution { filters: 8 kernel: 2 kernel_width: 3 groups: 4 } }
      layers { activation: ACTIVATION_RELU }
      layers { batch_norm { epsilon: 0.25 } }
    } }
    layers { convolution { filters: 16 kernel: 1 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { squeeze_excitation { reduction: 4 } }
    layers { dense { units: 16 } }
    layers { activation: ACTIVATION_RELU }
    layers { dropout {} })");
  const auto plain = [](const std::vector<at::Tensor>& t, at::Tensor x) {
    x = at::relu(at::conv2d(Padded(x, 5, 4), t[0], t[1], 2));
    x = BatchNorm(x, &t[2], 0.001);
    const at::Tensor shortcut = x;
    x = at::relu(at::conv2d(Padded(x, 2, 3), t[6], t[7], 1, at::IntArrayRef({0, 0}), 1, 4));
    x = BatchNorm(x, &t[8], 0.25) + shortcut;
    x = BatchNorm(at::relu(at::conv2d(x, t[12], t[13])), &t[14], 0.001);
    x = Gated(x, &t[18]).flatten(1);
    return at::linear(at::relu(at::linear(x, t[22], t[23])), t[24], t[25]);
  };
  ExpectPlainGradients(options, NoisyImages(options.architecture.input, 33, 7), 7, plain);
}

// Without pooling: see ExpectPlainGradients.
TEST(TrainingEngineTest, HasTheGradientsOfWeightedLosses) {
  TrainingOptions options = SmallOptions();
  BlockNetwork blocks;
  blocks.blocks = {{8}};
  blocks.dense_layers = {16};
  options.class_weights = {1, 0, 2.5, 0.1, 1, 3, 1, 1, 0.5, 1};
  for (const double smoothing : {0.0, 0.2}) {
    options.label_smoothing = smoothing;
    for (const PathChoice path : {PathChoice::kAutomatic, PathChoice::kLibTorch}) {
      options.path_choice = path;
      ExpectBlockGradients(options, blocks, NoisyImages({1, 28, 28}, 10, 32), 32);
    }
  }
}

// Distances from the gradients in double, by tensor, as parts of their lengths.
std::vector<double> GradientErrors(const TrainingOptions& options, const TrainedModel& model,
                                   const LabeledImages& images, const Reference& reference,
                                   ComputePath path) {
  const auto count = static_cast<int32_t>(images.labels.size());
  TrainingEngine engine(options, images, model);
  EXPECT_EQ(engine.path(), path);
  const PassResult result = engine.Step(FirstIndices(count), 0, options.learning_rate);
  EXPECT_NEAR(result.loss_sum / count, reference.loss, 0.02);
  std::vector<double> errors;
  ForEachGradient(engine, options, reference, [&](size_t i, const at::Tensor& actual) {
    const at::Tensor& expected = reference.gradients[i];
    errors.push_back((expected - actual).norm().item<double>() / expected.norm().item<double>());
  });
  return errors;
}

// Where bfloat16 rounds, how much it costs depends on the network. LibTorch rounds more,
// activations as well: the kernels, by each kind of instructions, are to be no further from double.
void ExpectErrorsOfBfloat16(const BlockNetwork& blocks) {
  TrainingOptions options = UnusualOptions();
  options.precision = Precision::kBfloat16;
  options.architecture.network = blocks.ToNetwork("");
  options.architecture.dropout = 0;
  options.shards = 1;
  const LabeledImages images = NoisyImages(options.architecture.input, 33, 41);
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const Reference reference =
      PlainReference(options, model, images, FirstIndices(41),
                     [&blocks](const std::vector<at::Tensor>& tensors, const at::Tensor& x) {
                       return PlainBlocks(blocks, tensors, x);
                     });
  options.path_choice = PathChoice::kLibTorch;
  const auto theirs = GradientErrors(options, model, images, reference, ComputePath::kLibTorch);
  options.path_choice = PathChoice::kAutomatic;
  for (const PairUnit unit : {PairUnit::kAvx512, PairUnit::kTiles}) {
    SCOPED_TRACE(PairUnitName(unit));
    LimitPairUnit(unit);
    if (FindPairUnit() != unit) continue;
    const auto ours = GradientErrors(options, model, images, reference, ComputePath::kKernels);
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_LE(ours[i], 1.1 * theirs[i] + 0.01) << reference.names[i];
    }
  }
  LimitPairUnit(PairUnit::kTiles);
}

// Without pooling: see ExpectPlainGradients.
TEST(TrainingEngineTest, HasTheGradientsInBfloat16) {
  if (FindPairUnit() == PairUnit::kNone) GTEST_SKIP() << "no bfloat16 here";
  BlockNetwork network;
  network.blocks = {{33, 0}, {20, 1, 5}, {33, 0}, {33, 0, 0, 1}};
  network.dense_layers = {65, 7};
  ExpectErrorsOfBfloat16(network);
  network.average_features = true;
  ExpectErrorsOfBfloat16(network);
  network = {};
  network.dense_layers = {65};
  ExpectErrorsOfBfloat16(network);
}

// As it would be on lesser processors than this: our kernels take their widest instructions at run
// time.
TEST(TrainingEngineTest, IsRightWithEveryKindOfInstructions) {
  const TrainingOptions options = SmallOptions();
  BlockNetwork network;
  network.blocks = {{33, 2, 3}, {40}, {40, 0, 0, 1}};
  network.dense_layers = {70};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    ExpectBlockGradients(options, network, NoisyImages(options.architecture.input, 10, 9), 9);
  }
  hwy::GetChosenTarget().DeInit();
}

// Dropout, shards and running statistics, against the same step by LibTorch's operators.
TEST(TrainingEngineTest, StepsAsLibTorchDoes) {
  TrainingOptions options = SmallOptions();
  BlockNetwork blocks = SmallBlocks();
  blocks.blocks = {{4, 0}};
  options.architecture.network = blocks.ToNetwork("");
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
  const size_t filters = model.Find("norm1.running_mean")->values.size();
  ASSERT_GE(moved.size(), 2 * filters);
  for (size_t i = 0; i < 2 * filters; ++i) {
    const float start = i < filters ? 0 : 1;
    EXPECT_NEAR(moved[i], start + 0.01F / 4 * (target[i] - start), 1e-6) << i;
  }
}

// A layer's own momentum takes the place of the training's, on both paths.
TEST(TrainingEngineTest, StatisticsMoveByTheirLayersOwnMomentum) {
  for (const PathChoice path : {PathChoice::kAutomatic, PathChoice::kLibTorch}) {
    TrainingOptions options = SmallOptions();
    options.path_choice = path;
    options.batch_size = 16;
    v1::Network& network = options.architecture.network;
    ASSERT_TRUE(network.layers(7).has_batch_norm()) << network.DebugString();
    network.mutable_layers(7)->mutable_batch_norm()->set_momentum(0.5);
    const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
    const size_t first = model.Find("norm1.running_mean")->values.size();
    const size_t second = model.Find("norm2.running_mean")->values.size();
    const std::vector<float> target = StatisticsAfter(options, model, FirstIndices(16), 0);
    const std::vector<float> moved = StatisticsAfter(options, model, FirstIndices(16), kLate);
    for (size_t i = 0; i < 2 * (first + second); ++i) {
      const bool own = i >= 2 * first;
      const float start = (own ? i - 2 * first < second : i < first) ? 0 : 1;
      EXPECT_NEAR(moved[i], start + (own ? 0.5F : 0.01F) * (target[i] - start), 1e-6) << i;
    }
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
  options.augmentation = {.random_resized_crop = 0.6,
                          .rotation = 10,
                          .horizontal_flip = true,
                          .shift = 2,
                          .color_jitter = 0.3,
                          .erasing = 0.5};
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
