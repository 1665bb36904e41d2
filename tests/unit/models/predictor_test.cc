#include "models/archive/predictor.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/export_check.h"
#include "models/base/failure.h"
#include "models/kernels/fastest_precision.h"
#include "models/network/presets.h"
#include "tests/unit/models/written_archive.h"

namespace atelier::models {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class PredictorTest : public ModelArchiveTest {
 protected:
  PredictorTest() { WriteGood(); }
  static std::vector<uint8_t> TestPixels(int64_t count) {
    const SharedBytes& all = SmallDataset()->test().pixels;
    return {all.begin(), all.begin() + count * 784};
  }
};

// What holds on both paths.
class PredictorPathTest : public PredictorTest, public testing::WithParamInterface<PathChoice> {
 protected:
  absl::StatusOr<std::unique_ptr<const Predictor>> Load() const {
    return Predictor::Load(Path(), Device::kCpu, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(All, PredictorPathTest,
                         testing::Values(PathChoice::kAutomatic, PathChoice::kLibTorch),
                         [](const auto& test) {
                           return test.param == PathChoice::kLibTorch ? "LibTorch" : "Kernels";
                         });

TEST_P(PredictorPathTest, AnswersAsTheNetworkDid) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  EXPECT_EQ((*predictor)->input_shape(), (ImageShape{1, 28, 28}));
  EXPECT_EQ((*predictor)->path(),
            GetParam() == PathChoice::kLibTorch ? ComputePath::kLibTorch : ComputePath::kKernels);
  const auto probabilities = (*predictor)->Classify(TestPixels(300));
  ASSERT_TRUE(probabilities.ok()) << probabilities.status();
  ASSERT_EQ(probabilities->size(), 3000U);
  for (const Prediction& prediction : Trained::Get().evaluation.predictions) {
    const float* row = &(*probabilities)[static_cast<size_t>(prediction.index * 10)];
    EXPECT_NEAR(row[prediction.predicted_class], prediction.probability, 1e-5);
    EXPECT_NEAR(row[prediction.true_class], prediction.true_probability, 1e-5);
  }
}

TEST_F(PredictorTest, KeepsWeightsInBfloat16IfThatCostsNextToNothing) {
  const auto full = Predictor::Load(Path());
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ((*full)->precision(), Precision::kFloat32);
  ArchiveContents contents = Trained::Get().Contents();
  TrainingOutcome outcome = contents.outcome;
  const double accuracy =
      outcome.history[static_cast<size_t>(outcome.best_epoch - 1)].validation_accuracy;
  ProductRounding rounding = ProductRounding::kNone;
  const auto load_with = [&](double bfloat16_accuracy) {
    outcome.bfloat16_validation = {bfloat16_accuracy, rounding};
    const Trained& t = Trained::Get();
    EXPECT_TRUE(WriteModelArchive(Path(), {t.model, contents.class_names, t.options, outcome,
                                           t.evaluation, "", "", "", ""})
                    .ok());
    return Predictor::Load(Path()).value();
  };
  const auto half = load_with(accuracy - 0.001);
  EXPECT_EQ(half->precision(), Precision::kBfloat16);
  EXPECT_LT(half->memory_bytes(), (*full)->memory_bytes());
  const std::vector<float> expected = (*full)->Classify(TestPixels(100)).value();
  const std::vector<float> answers = half->Classify(TestPixels(100)).value();
  EXPECT_NE(answers, expected);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(answers[i], expected[i], 0.02);
  // Products are rounded where that was measured in the way that is faster here.
  for (const ProductRounding measured : {ProductRounding::kDirect, ProductRounding::kTransformed}) {
    rounding = measured;
    const auto rounded = load_with(accuracy)->Classify(TestPixels(100)).value();
    EXPECT_EQ(rounded != answers, measured == FastestProductRounding());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(rounded[i], expected[i], 0.04);
  }
  EXPECT_EQ(load_with(accuracy - 0.0011)->precision(), Precision::kFloat32);
}

TEST_F(PredictorTest, SaysThatThereIsNoGpu) {
  if (CudaAvailable()) GTEST_SKIP() << "there is one";
  const auto predictor = Predictor::Load(Path(), Device::kCuda);
  EXPECT_EQ(ReasonOf(predictor.status()), FailureReason::kInternal);
}

// What Python gets from the files is what Classify answers, for every preset.
TEST_F(PredictorTest, AgreesWithTheFilesOfEveryPreset) {
  const Trained& t = Trained::Get();
  for (const std::string& preset : PresetNames()) {
    const TrainedModel model =
        TrainedModel::Initial(*Architecture::FromPreset(preset, {3, 20, 24}, 10, 0.3), 3);
    ASSERT_TRUE(WriteModelArchive(Path(), {model, SmallDataset()->class_names(), t.options,
                                           t.outcome, t.evaluation, "", "", "", ""})
                    .ok());
    const auto predictor = Predictor::Load(Path());
    EXPECT_TRUE(predictor.ok()) << preset << ": " << predictor.status();
    const std::vector<uint8_t> images(3 * 20 * 24, 99);
    const auto differences = CheckExports(model, Path(), images);
    ASSERT_TRUE(differences.ok()) << preset << ": " << differences.status();
    EXPECT_LT(differences->torchscript, 1e-4) << preset;
    EXPECT_LT(differences->onnx, 1e-4) << preset;
  }
}

TEST_F(PredictorTest, ReportsANetworkOfAnotherArchive) {
  auto entries = GoodEntries();
  json metadata = json::parse(entries["metadata.json"]);
  metadata["architecture"]["network"]["layers"][2]["batch_norm"]["epsilon"] = 0.5;
  entries["metadata.json"] = metadata.dump();
  WriteEntries(entries);
  const auto predictor = Predictor::Load(Path());
  EXPECT_THAT(std::string(predictor.status().message()), HasSubstr("does not answer as"));
}

TEST_P(PredictorPathTest, TakesFloatsAndBytesInAnyNumber) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const std::vector<uint8_t> bytes = TestPixels(17);
  std::vector<float> floats;
  for (const uint8_t byte : bytes) floats.push_back(static_cast<float>(byte) / 255.0F);
  const auto all = (*predictor)->Classify(bytes);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(*(*predictor)->Classify(floats), *all);
  for (size_t i = 0; i < 17; ++i) {
    const auto one = (*predictor)->Classify(absl::MakeConstSpan(bytes).subspan(i * 784, 784));
    ASSERT_TRUE(one.ok());
    for (size_t c = 0; c < 10; ++c) EXPECT_NEAR((*one)[c], (*all)[i * 10 + c], 1e-5);
  }
}

TEST_P(PredictorPathTest, ServesManyThreadsAtOnce) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok());
  const std::vector<uint8_t> pixels = TestPixels(4);
  const std::vector<float> expected = *(*predictor)->Classify(pixels);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) EXPECT_EQ(*(*predictor)->Classify(pixels), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PredictorPathTest, RefusesWhatIsNoImage) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*predictor)->Classify(std::vector<uint8_t>()).status()));
  EXPECT_THAT(std::string((*predictor)->Classify(std::vector<uint8_t>(783)).status().message()),
              HasSubstr("783 pixel values; an image of this model has 784"));
  std::vector<float> pixels(784, 0.5F);
  pixels[5] = std::nanf("");
  EXPECT_TRUE(absl::IsInvalidArgument((*predictor)->Classify(pixels).status()));
}

TEST_F(PredictorTest, ReportsADamagedNetwork) {
  for (const char* file : {"model.pt", "model.onnx"}) {
    auto entries = GoodEntries(/*onnx=*/file == std::string("model.onnx"));
    entries[file].resize(entries[file].size() / 2);
    WriteEntries(entries);
    const auto predictor = Predictor::Load(Path());
    ASSERT_FALSE(predictor.ok()) << file;
    EXPECT_THAT(std::string(predictor.status().message()),
                HasSubstr("cannot use the model archive"));
  }
}

TEST_F(PredictorTest, ReportsANetworkThatDoesNotFitItsMetadata) {
  for (const bool onnx : {false, true}) {
    auto entries = GoodEntries(onnx);
    json metadata = json::parse(entries["metadata.json"]);
    metadata["architecture"]["input"]["height"] = 40;
    entries["metadata.json"] = metadata.dump();
    WriteEntries(entries);
    const auto predictor = Predictor::Load(Path());
    EXPECT_THAT(std::string(predictor.status().message()),
                HasSubstr(onnx ? "the tensor dense1.weight of model.onnx has another shape or type"
                               : "the tensor dense1_weight of model.pt"));
  }
}

}  // namespace
}  // namespace atelier::models
