// Images standardised inside of the network: the same on every path, padding included.
#include "models/network/standardization.h"

#include <cmath>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/export_check.h"
#include "models/archive/model_archive.h"
#include "models/archive/predictor.h"
#include "models/kernels/inference_program.h"
#include "models/network/layer_plan.h"
#include "models/torch/torch_program.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
#include "models/training/training_engine.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;

v1::Standardization NumbersOf(const std::vector<float>& means,
                              const std::vector<float>& deviations) {
  v1::Standardization numbers;
  numbers.mutable_mean()->Assign(means.begin(), means.end());
  numbers.mutable_deviation()->Assign(deviations.begin(), deviations.end());
  return numbers;
}

// Two images of two channels: 0 or 255 in the first, 51 in the second; then a validation image.
std::shared_ptr<const Dataset> TwoChannels(int64_t validation_images = 0) {
  using Bytes = std::vector<uint8_t>;
  Bytes pixels = {0, 255, 51, 51, 255, 0, 51, 51, 255, 255, 0, 0};
  std::vector<ClassLabel> labels = {0, 1, 1};
  labels.resize(static_cast<size_t>(2 + validation_images));
  pixels.resize(4 * labels.size());
  const LabeledImages images = {std::move(pixels), std::move(labels)};
  return Dataset::Create({2, 1, 2}, {"a", "b"}, images, images, validation_images).value();
}

TEST(StandardizationTest, HasMeanAndDeviationOfEachChannel) {
  const v1::Standardization numbers = StandardizationOf(*TwoChannels());
  EXPECT_THAT(numbers.mean(), ElementsAre(FloatEq(0.5F), FloatEq(0.2F)));
  EXPECT_THAT(numbers.deviation(), ElementsAre(FloatEq(0.5F), 1)) << "one is constant";
}

TEST(StandardizationTest, KnowsNothingOfValidationImagesThatTheDataSetBrings) {
  EXPECT_EQ(StandardizationOf(*TwoChannels(1)).SerializeAsString(),
            StandardizationOf(*TwoChannels()).SerializeAsString());
}

TEST(StandardizationTest, WarnsOfAConstantChannel) {
  v1::Network network;
  EXPECT_THAT(StandardizationWarning(network, *TwoChannels()), IsEmpty());
  *network.mutable_standardization() = StandardizationOf(*TwoChannels());
  EXPECT_THAT(StandardizationWarning(network, *TwoChannels()), HasSubstr("Channel 2 is the same"));
  *network.mutable_standardization() = NumbersOf({0.5, 0.5}, {0.5, 1});
  EXPECT_THAT(StandardizationWarning(network, *TwoChannels()), IsEmpty()) << "given by somebody";
}

TEST(StandardizationTest, WrongNumbersAreMistakesOfTheNetwork) {
  Architecture architecture = SmallOptions().architecture;
  const auto problem = [&](const std::vector<float>& means, const std::vector<float>& deviations) {
    *architecture.network.mutable_standardization() = NumbersOf(means, deviations);
    return std::string(architecture.Validate().message());
  };
  EXPECT_THAT(problem({0.3}, {0.4}), IsEmpty());
  EXPECT_THAT(problem({0.3, 0.3, 0.3}, {0.4, 0.4, 0.4}),
              HasSubstr("standardization has 3 numbers as mean; it must have 1"));
  EXPECT_THAT(problem({0.3}, {}), HasSubstr("standardization has 0 numbers as deviation"));
  EXPECT_THAT(problem({0.3}, {0}), HasSubstr("a deviation of standardization is 0; it must be"));
  EXPECT_THAT(problem({-1}, {0.5}), HasSubstr("a mean of standardization is -1"));
  EXPECT_THAT(problem({std::numeric_limits<float>::quiet_NaN()}, {0.5}), HasSubstr("nan"));
}

TEST(StandardizationTest, IsPartOfTheArchitectureInJson) {
  Architecture architecture = SmallOptions().architecture;
  EXPECT_THAT(architecture.ToJson(), Not(HasSubstr("standardization")));
  *architecture.network.mutable_standardization() = NumbersOf({0.123456789F}, {0.3F});
  const auto read = Architecture::FromJson(architecture.ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->network.standardization().mean(0), 0.123456789F);
  EXPECT_EQ(*read, architecture);
}

// Networks with and without convolutions, of grey and of coloured images.
struct NetworkCase {
  std::string name;
  Architecture architecture;
};

std::vector<NetworkCase> AllNetworks() {
  std::vector<NetworkCase> cases;
  for (const int64_t channels : {1, 3}) {
    for (const bool convolves : {false, true}) {
      BlockNetwork blocks = SmallBlocks();
      if (!convolves) blocks.blocks.clear();
      Architecture architecture = SmallOptions().architecture;
      architecture.network = blocks.ToNetwork("small");
      architecture.input = {channels, 9, 11};
      *architecture.network.mutable_standardization() =
          channels == 1 ? NumbersOf({0.3F}, {0.25F})
                        : NumbersOf({0.3F, 0.5F, 0.7F}, {0.25F, 0.5F, 0.1F});
      cases.push_back({(convolves ? "Convolutions" : "Dense") + std::to_string(channels),
                       std::move(architecture)});
    }
  }
  return cases;
}

class StandardizationPathTest : public testing::TestWithParam<NetworkCase> {
 protected:
  const Architecture& architecture() const { return GetParam().architecture; }
  Architecture WithoutNumbers() const {
    Architecture without = architecture();
    without.network.clear_standardization();
    return without;
  }

  // The images as the first layer is to see them.
  std::vector<float> Standardized() const {
    const auto plane =
        static_cast<size_t>(architecture().input.height * architecture().input.width);
    const std::vector<ChannelScale> scales = ChannelScalesOf(architecture().network);
    std::vector<float> floats;
    for (size_t i = 0; i < images_.pixels.size(); ++i) {
      const ChannelScale& scale = scales[i / plane % scales.size()];
      floats.push_back(scale.Apply(static_cast<float>(images_.pixels[i]) / 255.0F));
    }
    return floats;
  }

  void ExpectStandardizes(const InferenceNetwork& network, const InferenceNetwork& plain) const {
    std::vector<float> answers(40);
    std::vector<float> expected(40);
    const std::vector<float> standardized = Standardized();
    network.Run({PixelSpan(absl::MakeConstSpan(images_.pixels))}, answers.data());
    plain.Run({PixelSpan(absl::MakeConstSpan(standardized))}, expected.data());
    for (size_t i = 0; i < answers.size(); ++i) EXPECT_NEAR(answers[i], expected[i], 1e-5) << i;
  }

  const LabeledImages images_ = NoisyImages(GetParam().architecture.input, 10, 4);
};

// Were zeros that are padded standardised too, these would differ.
TEST_P(StandardizationPathTest, KernelsSeeStandardizedImagesPaddedWithZeros) {
  ExpectStandardizes(InferenceProgram(TrainedModel::Initial(architecture(), 3)),
                     InferenceProgram(TrainedModel::Initial(WithoutNumbers(), 3)));
}

TEST_P(StandardizationPathTest, LibTorchSeesStandardizedImagesPaddedWithZeros) {
  ExpectStandardizes(TorchProgram(TrainedModel::Initial(architecture(), 3), Device::kCpu),
                     TorchProgram(TrainedModel::Initial(WithoutNumbers(), 3), Device::kCpu));
}

TEST_P(StandardizationPathTest, BothPathsTrainAlike) {
  TrainingOptions options = SmallOptions();
  options.architecture = architecture();
  options.architecture.dropout = 0;
  options.batch_size = 4;
  const TrainedModel model = TrainedModel::Initial(options.architecture, 5);
  TrainingEngine ours(options, images_, model);
  TrainingOptions by_libtorch = options;
  by_libtorch.path_choice = PathChoice::kLibTorch;
  TrainingEngine libtorch(by_libtorch, images_, model);
  TrainingOptions plain = options;
  plain.architecture = WithoutNumbers();
  TrainingEngine unchanged(plain, images_, TrainedModel::Initial(plain.architecture, 5));
  const double loss = ours.Step(FirstIndices(4), 0, 0.001).loss_sum;
  EXPECT_NEAR(loss, libtorch.Step(FirstIndices(4), 0, 0.001).loss_sum, 1e-3);
  EXPECT_GT(std::abs(unchanged.Step(FirstIndices(4), 0, 0.001).loss_sum - loss), 1e-2);
}

TEST_P(StandardizationPathTest, ExportsAndServesTheSame) {
  const TemporaryFolder folder;
  const std::string path = folder.File("model.tar.gz");
  const TrainedModel model = TrainedModel::Initial(architecture(), 3);
  TrainingOptions options = SmallOptions();
  options.architecture = architecture();
  Evaluation evaluation;
  evaluation.confusion.assign(10, std::vector<int64_t>(10));
  evaluation.class_metrics.resize(10);
  ASSERT_TRUE(WriteModelArchive(path, {model,
                                       SmallDataset()->class_names(),
                                       options,
                                       {},
                                       evaluation,
                                       "noise",
                                       "checksum",
                                       "jobs/a",
                                       "1"})
                  .ok());
  const auto differences = CheckExports(model, path, images_.pixels);
  EXPECT_TRUE(differences.ok()) << differences.status();
  const ModelArchive archive = ReadModelArchive(path).value();
  EXPECT_EQ(archive.architecture, architecture());
  EXPECT_EQ(TrainedModelOf(archive).value(), model);
  const auto predictor = Predictor::Load(path).value();
  const auto answers = predictor->Classify(absl::MakeConstSpan(images_.pixels)).value();
  std::vector<float> expected(40);
  InferenceProgram(model).Run({PixelSpan(absl::MakeConstSpan(images_.pixels))}, expected.data());
  EXPECT_THAT(answers, testing::Pointwise(FloatNear(1e-5F), expected));
}

INSTANTIATE_TEST_SUITE_P(All, StandardizationPathTest, testing::ValuesIn(AllNetworks()),
                         [](const auto& test) { return test.param.name; });

// A training with them is no other's continuation, and is continued bit-identically.
TEST(StandardizationTest, TrainingContinuesItsOwnCheckpoint) {
  TrainingOptions options = SmallOptions();
  *options.architecture.network.mutable_standardization() = StandardizationOf(*SmallDataset());
  EXPECT_NE(options.Fingerprint(*SmallDataset()), SmallOptions().Fingerprint(*SmallDataset()));
  const auto whole = Trainer::Create(options, SmallDataset()).value();
  ASSERT_TRUE(whole->Run().ok());
  const TemporaryFolder folder;
  TrainingOptions first = options;
  const auto trainer = Trainer::Create(first, SmallDataset(), {folder.path(), {}}).value();
  ASSERT_TRUE(trainer->Run().ok());
  const auto rest = Trainer::Create(options, SmallDataset(), {folder.path(), {folder.path()}});
  ASSERT_TRUE(rest.ok()) << rest.status();
  ASSERT_TRUE((*rest)->resumed().has_value());
  EXPECT_EQ((*rest)->CurrentModel(), whole->CurrentModel());
  EXPECT_TRUE((*rest)->CurrentModel().architecture.network.has_standardization());
}

}  // namespace
}  // namespace atelier::models
