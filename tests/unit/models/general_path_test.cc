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
#include "models/torch/onnx_runner.h"
#include "models/torch/torchscript.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
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
  std::optional<Bfloat16Validation> in_bfloat16;
  TrainedModel model;
  Evaluation evaluation;

  General() {
    options.epochs = 6;
    const auto trainer = Trainer::Create(options, SmallDataset()).value();
    outcome = trainer->Run().value();
    in_bfloat16 = trainer->ValidateInBfloat16().value();
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
  return ImagesTensor(PlanOf(General::Get().options.architecture),
                      absl::MakeConstSpan(images.pixels))
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
  const v1::Network network = GeneralOptions().architecture.network;
  EXPECT_EQ(network.layers(0).convolution().kernel(), 5);
  EXPECT_EQ(network.layers(0).convolution().stride(), 2);
  EXPECT_EQ(network.layers(3).convolution().groups(), network.layers(0).convolution().filters());
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
  EXPECT_FALSE(general.in_bfloat16.has_value());
  TrainingOutcome claimed = general.outcome;
  claimed.bfloat16_validation = {1, ProductRounding::kDirect};
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

// By the definition: zeros around the image as wide as the window says.
std::vector<float> PlainConvolution(const TrainedModel& model, const std::vector<float>& image) {
  const LayerPlan plan = PlanOf(model.architecture).layers[0];
  const Window& window = plan.window;
  const ImageShape in = plan.input;
  const ImageShape out = plan.output;
  const std::vector<float>& weight = model.Find("conv1.weight")->values;
  const NamedTensor* const bias = model.Find("conv1.bias");
  const int64_t groups = plan.layer.convolution().groups();
  const int64_t inputs = in.channels / groups;
  std::vector<float> result;
  for (int64_t f = 0; f < out.channels; ++f) {
    const int64_t first = f / (out.channels / groups) * inputs;
    for (int64_t y = 0; y < out.height; ++y) {
      for (int64_t x = 0; x < out.width; ++x) {
        double sum = bias == nullptr ? 0 : bias->values[static_cast<size_t>(f)];
        for (int64_t c = 0; c < inputs; ++c) {
          for (int64_t i = 0; i < window.height; ++i) {
            for (int64_t j = 0; j < window.width; ++j) {
              const int64_t row = y * window.row_stride + i * window.dilation - window.top;
              const int64_t column = x * window.column_stride + j * window.dilation - window.left;
              if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
              const int64_t at = ((f * inputs + c) * window.height + i) * window.width + j;
              sum +=
                  weight[static_cast<size_t>(at)] *
                  image[static_cast<size_t>(((first + c) * in.height + row) * in.width + column)];
            }
          }
        }
        result.push_back(static_cast<float>(sum));
      }
    }
  }
  return result;
}

struct Convolution {
  std::string name;
  // Beside its 12 filters.
  std::string options;
};

class ConvolutionTest : public testing::TestWithParam<Convolution> {
 protected:
  // An untrained network of this one layer, with biases as if trained.
  TrainedModel Model() const {
    Architecture network;
    network.input = {4, 9, 12};
    network.classes = 3;
    network.network =
        NetworkOf("layers { convolution { filters: 12 " + GetParam().options + " } }");
    EXPECT_TRUE(network.Validate().ok()) << network.Validate();
    TrainedModel model = TrainedModel::Initial(network, 7);
    for (NamedTensor& tensor : model.tensors) {
      if (tensor.name != "conv1.bias") continue;
      for (size_t i = 0; i < tensor.values.size(); ++i) {
        tensor.values[i] = 0.1F * static_cast<float>(i);
      }
    }
    return model;
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
  EXPECT_EQ((*maps)[0].shape, PlanOf(model.architecture).layers[0].output);
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
  const NetworkPlan plan = PlanOf(model.architecture);
  const at::Tensor images = ImagesTensor(plan, absl::MakeConstSpan(image));
  const at::Tensor expected = at::softmax(InferenceLogits(plan, TensorsOf(model), images), 1);
  std::istringstream bytes(SerializeTorchScript(model));
  torch::jit::Module module = torch::jit::load(bytes);
  EXPECT_TRUE(at::allclose(module.forward({images}).toTensor(), expected, 0, 1e-5));
  onnx::ModelProto file;
  ASSERT_TRUE(file.ParseFromString(SerializeOnnx(model, {"a", "b", "c"}).value()));
  EXPECT_TRUE(at::allclose(OnnxRunner(file).Run(images), expected, 0, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(
    All, ConvolutionTest,
    testing::Values(Convolution{"Usual", ""}, Convolution{"OnePixel", "kernel: 1"},
                    Convolution{"FiveByFive", "kernel: 5"},
                    Convolution{"Oblong", "kernel_width: 7"}, Convolution{"Even", "kernel: 4"},
                    Convolution{"EvenAndOdd", "kernel: 2 kernel_width: 3 stride: 2"},
                    Convolution{"LargerThanTheImage", "kernel: 11 stride: 3"},
                    Convolution{"Strided", "kernel: 5 stride: 2"},
                    Convolution{"StridedFar", "stride: 8"}, Convolution{"Grouped", "groups: 2"},
                    Convolution{"Depthwise", "kernel: 5 kernel_width: 3 stride: 2 groups: 4"},
                    Convolution{"NoBias", "bias: false"},
                    Convolution{"NoPadding", "padding: PADDING_VALID"},
                    Convolution{"NoPaddingAndStrided",
                                "kernel: 4 kernel_width: 2 stride: 3 padding: PADDING_VALID"},
                    Convolution{"Dilated", "dilation: 3"},
                    Convolution{"DilatedEven", "kernel: 2 kernel_width: 4 dilation: 3 stride: 2"},
                    Convolution{"DilatedBeyondTheImage", "dilation: 8 groups: 2"},
                    Convolution{"DilatedWithoutPadding", "dilation: 4 padding: PADDING_VALID"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace atelier::models
