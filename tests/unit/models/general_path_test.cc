// Networks that our kernels do not compute: by LibTorch from the first step to the served answer.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/feature_maps.h"
#include "models/archive/model_archive.h"
#include "models/archive/onnx_export.h"
#include "models/archive/predictor.h"
#include "models/kernels/coverage.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"
#include "models/torch/torchscript.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
#include "tests/unit/models/onnx_runner.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

// A network that only LibTorch computes, trained, evaluated and stored; made once.
struct General {
  TrainingOptions options = GeneralOptions();
  TemporaryFolder folder;
  std::string path = folder.File("model.tar.gz");
  TrainingOutcome outcome;
  std::optional<double> bfloat16_accuracy;
  TrainedModel model;
  Evaluation evaluation;

  General() {
    options.epochs = 6;
    const auto trainer = Trainer::Create(options, SmallDataset()).value();
    outcome = trainer->Run().value();
    bfloat16_accuracy = trainer->Bfloat16ValidationAccuracy().value();
    model = trainer->BestModel().value();
    evaluation = Evaluate(model, *SmallDataset(), SplitName::kTest).value();
    Store(outcome);
  }

  void Store(const TrainingOutcome& what) const {
    EXPECT_TRUE(WriteModelArchive(path, {model, SmallDataset()->class_names(), options, what,
                                         evaluation, "fashion-mnist", "checksum", "", ""})
                    .ok());
  }

  static const General& Get() {
    static const auto* general = new General;
    return *general;
  }
};

// The first test images, and how the network classifies them.
LabeledImages FirstTestImages(int64_t count) {
  return FirstImages(*SmallDataset(), SplitName::kTest, count);
}

at::Tensor TestTensor(int64_t count) {
  const LabeledImages images = FirstTestImages(count);
  return ImagesTensor(General::Get().options.architecture, absl::MakeConstSpan(images.pixels))
      .contiguous();
}

std::vector<float> Classified(int64_t count) {
  const auto predictor = Predictor::Load(General::Get().path).value();
  return predictor->Classify(absl::MakeConstSpan(FirstTestImages(count).pixels)).value();
}

void ExpectNear(const at::Tensor& actual, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(actual.numel(), static_cast<int64_t>(expected.size()));
  const at::Tensor values = actual.contiguous();
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(values.data_ptr<float>()[i], expected[i], tolerance) << i;
  }
}

TEST(GeneralPathTest, HasWhatTheKernelsLack) {
  const std::vector<ConvBlock>& blocks = GeneralOptions().architecture.conv_blocks;
  EXPECT_EQ(blocks[0].kernel_height, 5);
  EXPECT_EQ(blocks[0].stride, 2);
  EXPECT_EQ(blocks[1].groups, blocks[0].filters);
  EXPECT_FALSE(KernelsCoverInference(GeneralOptions().architecture, Device::kCpu).ok());
}

TEST(GeneralPathTest, Trains) {
  const TrainingOutcome& outcome = General::Get().outcome;
  EXPECT_EQ(outcome.path, ComputePath::kLibTorch);
  EXPECT_LT(outcome.history.back().training_loss, outcome.history.front().training_loss);
  EXPECT_GT(outcome.history.back().validation_accuracy, 0.5);
}

TEST(GeneralPathTest, IsScored) { EXPECT_GT(General::Get().evaluation.accuracy, 0.5); }

TEST(GeneralPathTest, SaysInItsMetadataWhatComputedIt) {
  const ModelArchive archive = ReadModelArchive(General::Get().path).value();
  EXPECT_EQ(nlohmann::json::parse(archive.metadata_json)["compute_path"], "libtorch");
}

TEST(GeneralPathTest, IsServedAsItWasScored) {
  const auto predictor = Predictor::Load(General::Get().path);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  EXPECT_EQ((*predictor)->path(), ComputePath::kLibTorch);
  EXPECT_EQ((*predictor)->memory_bytes(), 4 * General::Get().options.architecture.ParameterCount());
  const std::vector<float> answers = Classified(300);
  for (const Prediction& prediction : General::Get().evaluation.predictions) {
    const float* row = &answers[static_cast<size_t>(prediction.index * 10)];
    EXPECT_NEAR(row[prediction.predicted_class], prediction.probability, 1e-5);
    EXPECT_NEAR(row[prediction.true_class], prediction.true_probability, 1e-5);
  }
}

TEST(GeneralPathTest, AnswersAsItsTorchScriptDoes) {
  std::istringstream bytes(SerializeTorchScript(General::Get().model));
  const at::InferenceMode inference;
  torch::jit::Module module = torch::jit::load(bytes);
  ExpectNear(module.forward({TestTensor(40)}).toTensor(), Classified(40), 1e-5);
}

TEST(GeneralPathTest, AnswersAsItsOnnxFileDoes) {
  onnx::ModelProto file;
  ASSERT_TRUE(file.ParseFromString(OnnxOf(ReadModelArchive(General::Get().path).value()).value()));
  ExpectNear(OnnxRunner(file).Run(TestTensor(40)), Classified(40), 1e-5);
}

TEST(GeneralPathTest, IsServedInFloat32WhateverIsAskedFor) {
  const General& general = General::Get();
  EXPECT_FALSE(general.bfloat16_accuracy.has_value());
  TrainingOutcome claimed = general.outcome;
  claimed.bfloat16_validation_accuracy = 1;
  general.Store(claimed);
  const auto predictor = Predictor::Load(general.path);
  general.Store(general.outcome);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  EXPECT_EQ((*predictor)->precision(), Precision::kFloat32);
}

TEST(GeneralPathTest, ComputesOnTheCallingThreadAlone) {
  const auto predictor = Predictor::Load(General::Get().path).value();
  const auto pixels = FirstTestImages(3).pixels;
  int threads = 0;
  std::thread other([&] {
    // As a thread that knows nothing of LibTorch begins on a machine with several cores.
    at::set_num_threads(3);
    EXPECT_TRUE(predictor->Classify(absl::MakeConstSpan(pixels)).ok());
    threads = at::get_num_threads();
  });
  other.join();
  EXPECT_EQ(threads, 1);
}

// By the definition: zeros around the image, (edge - 1) / 2 of them before it.
std::vector<float> PlainConvolution(const TrainedModel& model, const std::vector<float>& image) {
  const ConvBlock& block = model.architecture.conv_blocks[0];
  const ImageShape in = model.architecture.input;
  const ImageShape out = block.ConvolvedShape(in);
  const std::vector<float>& weight = model.Find("conv1.weight")->values;
  const int64_t inputs = in.channels / block.groups;
  std::vector<float> result;
  for (int64_t f = 0; f < out.channels; ++f) {
    const int64_t first = f / (block.filters / block.groups) * inputs;
    for (int64_t y = 0; y < out.height; ++y) {
      for (int64_t x = 0; x < out.width; ++x) {
        double sum = 0;
        for (int64_t c = 0; c < inputs; ++c) {
          for (int64_t i = 0; i < block.kernel_height; ++i) {
            for (int64_t j = 0; j < block.kernel_width; ++j) {
              const int64_t row = y * block.stride + i - (block.kernel_height - 1) / 2;
              const int64_t column = x * block.stride + j - (block.kernel_width - 1) / 2;
              if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
              const int64_t at =
                  ((f * inputs + c) * block.kernel_height + i) * block.kernel_width + j;
              sum +=
                  weight[static_cast<size_t>(at)] *
                  image[static_cast<size_t>(((first + c) * in.height + row) * in.width + column)];
            }
          }
        }
        result.push_back(static_cast<float>(std::max(sum, 0.0)));
      }
    }
  }
  return result;
}

struct Convolution {
  std::string name;
  ConvBlock block;
};

ConvBlock Block(int64_t kernel_height, int64_t kernel_width, int64_t stride, int64_t groups) {
  ConvBlock block;
  block.filters = 12;
  block.kernel_height = kernel_height;
  block.kernel_width = kernel_width;
  block.stride = stride;
  block.groups = groups;
  return block;
}

class ConvolutionTest : public testing::TestWithParam<Convolution> {
 protected:
  // An untrained network with this one block; its batch norm changes next to nothing.
  TrainedModel Model() const {
    Architecture network;
    network.input = {4, 9, 12};
    network.classes = 3;
    network.conv_blocks = {GetParam().block};
    network.batch_norm_epsilon = 1e-12;
    EXPECT_TRUE(network.Validate().ok()) << network.Validate();
    return TrainedModel::Initial(network, 7);
  }
  static std::vector<float> Image(const TrainedModel& model) {
    std::vector<float> image(static_cast<size_t>(model.architecture.input.size()));
    for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i * i % 97) / 97.0F;
    return image;
  }
};

TEST_P(ConvolutionTest, IsThatOfTheDefinition) {
  const TrainedModel model = Model();
  const std::vector<float> image = Image(model);
  const auto maps = FeatureMapsOf(model, PixelSpan(absl::MakeConstSpan(image)));
  ASSERT_TRUE(maps.ok()) << maps.status();
  ASSERT_EQ(maps->size(), 1U);
  EXPECT_EQ((*maps)[0].shape, GetParam().block.OutputShape(model.architecture.input));
  const std::vector<float> expected = PlainConvolution(model, image);
  ASSERT_EQ((*maps)[0].values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR((*maps)[0].values[i], expected[i], 1e-4) << i;
  }
}

// model.pt and model.onnx spell the convolution as LibTorch's own network does.
TEST_P(ConvolutionTest, IsTheSameInEveryFile) {
  const TrainedModel model = Model();
  const std::vector<float> image = Image(model);
  const at::InferenceMode inference;
  const at::Tensor images = ImagesTensor(model.architecture, absl::MakeConstSpan(image));
  const at::Tensor expected =
      at::softmax(InferenceLogits(model.architecture, TensorsOf(model), images), 1);
  std::istringstream bytes(SerializeTorchScript(model));
  torch::jit::Module module = torch::jit::load(bytes);
  EXPECT_TRUE(at::allclose(module.forward({images}).toTensor(), expected, 0, 1e-5));
  onnx::ModelProto file;
  ASSERT_TRUE(file.ParseFromString(SerializeOnnx(model, {"a", "b", "c"}).value()));
  EXPECT_TRUE(at::allclose(OnnxRunner(file).Run(images), expected, 0, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(All, ConvolutionTest,
                         testing::Values(Convolution{"Usual", Block(3, 3, 1, 1)},
                                         Convolution{"OnePixel", Block(1, 1, 1, 1)},
                                         Convolution{"FiveByFive", Block(5, 5, 1, 1)},
                                         Convolution{"Oblong", Block(3, 7, 1, 1)},
                                         Convolution{"Even", Block(4, 4, 1, 1)},
                                         Convolution{"EvenAndOdd", Block(2, 3, 2, 1)},
                                         Convolution{"LargerThanTheImage", Block(11, 11, 3, 1)},
                                         Convolution{"Strided", Block(5, 5, 2, 1)},
                                         Convolution{"StridedFar", Block(3, 3, 8, 1)},
                                         Convolution{"Grouped", Block(3, 3, 1, 2)},
                                         Convolution{"Depthwise", Block(5, 3, 2, 4)}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace atelier::models
