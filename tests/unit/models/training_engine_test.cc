// The engine against plain LibTorch: the same network written the ordinary way.
#include "models/training_engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/network.h"
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
  engine.Step(FirstIndices(32), 0);
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
  LabeledImages images;
  for (int64_t i = 0; i < 8 * shape.size(); ++i) {
    images.pixels.push_back(static_cast<uint8_t>(i * i % 251));
  }
  for (int i = 0; i < 8; ++i) images.labels.push_back(static_cast<uint8_t>(6 * i));
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), shape, 47, 0);
  TrainingEngine engine(options, images, TrainedModel::Initial(options.architecture, 1));
  const double before = engine.Step(FirstIndices(8), 0).loss_sum;
  double after = before;
  for (int64_t step = 1; step < 6; ++step) after = engine.Step(FirstIndices(8), step).loss_sum;
  EXPECT_LT(after, before);
}

INSTANTIATE_TEST_SUITE_P(All, PresetGradientTest, testing::ValuesIn(PresetNames()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// cnn-3-pooled without dropout, as a LibTorch user would write it.
at::Tensor PlainLogits(const std::vector<at::Tensor>& t, at::Tensor x) {
  for (size_t block = 0; block < 3; ++block) {
    const at::Tensor* b = &t[6 * block];
    x = at::relu(at::conv2d(x, b[0], b[1], 1, 1));
    x = at::batch_norm(x, b[2], b[3], {}, {}, true, 0.01, 1e-3, false);
    x = at::max_pool2d(x, 2);
  }
  x = at::relu(at::linear(x.flatten(1), t[18], t[19]));
  x = at::relu(at::linear(x, t[20], t[21]));
  return at::linear(x, t[22], t[23]);
}

TEST(TrainingEngineTest, HasTheGradientsOfPlainLibTorch) {
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset("cnn-3-pooled", {1, 28, 28}, 10, 0);
  options.shards = 1;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const std::vector<int32_t> indices = FirstIndices(32);
  TrainingEngine engine(options, SmallDataset()->training(), model);
  const TrainingEngine::StepResult result = engine.Step(indices, 0);
  const std::vector<float> gradients = GradientsOfFirstStep(engine, options);

  std::vector<at::Tensor> tensors = TensorsOf(model);
  const std::vector<TensorSpec> specs = TensorSpecsOf(options.architecture);
  for (size_t i = 0; i < specs.size(); ++i) tensors[i].set_requires_grad(specs[i].trainable);
  const at::Tensor images =
      GatherImages(options.architecture, SmallDataset()->training(), indices).contiguous();
  const at::Tensor loss = at::cross_entropy_loss(PlainLogits(tensors, images),
                                                 GatherLabels(SmallDataset()->training(), indices));
  loss.backward();
  EXPECT_NEAR(result.loss_sum / 32, loss.item<float>(), 1e-5);
  int64_t offset = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].trainable) continue;
    const at::Tensor expected = tensors[i].grad().flatten();
    const at::Tensor actual =
        at::from_blob(const_cast<float*>(gradients.data()) + offset, {specs[i].size()});
    const double scale = expected.abs().max().item<float>();
    EXPECT_LT((expected - actual).abs().max().item<float>(), 1e-4 * scale + 1e-7) << specs[i].name;
    offset += specs[i].size();
  }
}

TEST(TrainingEngineTest, StepsAsKerasAdamDoes) {
  TrainingOptions options = SmallOptions();
  options.learning_rate = 0.001;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine engine(options, SmallDataset()->training(), model);
  engine.Step(FirstIndices(64), 0);
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

TEST(TrainingEngineTest, KeepsTheMeanOfTheShardsStatistics) {
  TrainingOptions options = SmallOptions();
  options.architecture.dropout = 0;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  const auto statistics = [&](int64_t shards, int32_t from, int32_t count) {
    options.shards = shards;
    TrainingEngine engine(options, SmallDataset()->training(), model);
    std::vector<int32_t> indices(static_cast<size_t>(count));
    std::iota(indices.begin(), indices.end(), from);
    engine.Step(indices, 0);
    const TrainedModel after{options.architecture, engine.Weights()};
    return after.Find("norm1.running_var")->values;
  };
  const std::vector<float> both = statistics(2, 0, 64);
  const std::vector<float> first = statistics(1, 0, 32);
  const std::vector<float> second = statistics(1, 32, 32);
  for (size_t i = 0; i < both.size(); ++i) {
    EXPECT_NEAR(both[i], (first[i] + second[i]) / 2, 1e-6);
    EXPECT_NE(first[i], 1.0F);
  }
}

}  // namespace
}  // namespace atelier::models
