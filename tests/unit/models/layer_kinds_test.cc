// Every kind of layer with every option: computed by LibTorch, as model.pt and as model.onnx,
// trained, stored and loaded.
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/model_archive.h"
#include "models/archive/onnx_export.h"
#include "models/archive/predictor.h"
#include "models/base/random.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"
#include "models/torch/onnx_runner.h"
#include "models/torch/torchscript.h"
#include "models/training/training_engine.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

// A network for images of 4×13×10 and three classes.
struct LayerCase {
  std::string name;
  std::string layers;
};

constexpr int64_t kClasses = 3;

// Before what takes lists: 6 numbers.
constexpr char kList[] =
    "layers { convolution { filters: 6 } } "
    "layers { global_pooling: GLOBAL_POOLING_AVERAGE }";

std::vector<LayerCase> ActivationCases() {
  std::vector<LayerCase> cases;
  for (int i = v1::Activation_MIN + 1; i <= v1::Activation_MAX; ++i) {
    const std::string name = v1::Activation_Name(static_cast<v1::Activation>(i));
    const std::string activation = "layers { activation: " + name + " }";
    const std::string convolution = "layers { convolution { filters: 6 } }";
    cases.push_back(
        {name, convolution + activation + "layers { dense { units: 9 } }" + activation});
  }
  return cases;
}

std::vector<LayerCase> LayerCases() {
  const std::string list = kList;
  std::vector<LayerCase> cases = {
      {"Nothing", ""},
      {"ValidPadding", R"(layers { convolution { filters: 6 kernel: 3 kernel_width: 2 stride: 2
                                                 padding: PADDING_VALID bias: false } })"},
      {"Dilation", "layers { convolution { filters: 6 dilation: 3 groups: 2 } }"},
      {"DilatedDepthwise",
       R"(layers { convolution { filters: 8 kernel: 2 kernel_width: 5 dilation: 2
                                                     groups: 4 stride: 2 bias: false } })"},
      {"EvenKernels", R"(layers { convolution { filters: 6 kernel: 4 kernel_width: 2 stride: 3 } }
                         layers { convolution { filters: 5 kernel: 2 kernel_width: 6 } })"},
      {"BatchNormOfImages", R"(layers { batch_norm { momentum: 0.5 epsilon: 0.25 } }
                               layers { convolution { filters: 6 } } layers { batch_norm {} })"},
      {"BatchNormOfLists", list + "layers { batch_norm { epsilon: 0.25 } }"},
      {"GroupNormOfImages", R"(layers { group_norm { groups: 1 } }
                               layers { convolution { filters: 6 } }
                               layers { group_norm { groups: 3 epsilon: 0.25 } }
                               layers { group_norm { groups: 6 } })"},
      {"GroupNormOfLists", list + R"(layers { group_norm { groups: 1 epsilon: 0.25 } }
                                     layers { group_norm { groups: 2 } })"},
      {"LayerNormOfImages", R"(layers { layer_norm { epsilon: 0.25 } }
                               layers { convolution { filters: 6 } } layers { layer_norm {} })"},
      {"LayerNormOfLists",
       list + "layers { layer_norm { epsilon: 0.25 } } layers { layer_norm {} }"},
      {"MaxPooling", R"(layers { max_pooling {} }
                        layers { max_pooling { size: 2 size_width: 3 } })"},
      {"OverlappingMaxPooling",
       R"(layers { max_pooling { size: 3 stride: 2 padding: PADDING_SAME } }
          layers { convolution { filters: 6 } }
          layers { max_pooling { size: 5 size_width: 1 stride: 1 padding: PADDING_SAME } }
          layers { max_pooling { size: 2 stride: 1 } }
          layers { max_pooling { size: 1 stride: 2 } })"},
      {"MaxPoolingBeyondTheImage",
       "layers { max_pooling { size: 31 stride: 4 padding: PADDING_SAME } }"},
      {"AveragePooling", R"(layers { average_pooling {} }
                            layers { average_pooling { size: 2 size_width: 3 } })"},
      {"OverlappingAveragePooling",
       R"(layers { average_pooling { size: 3 stride: 2 padding: PADDING_SAME } }
          layers { convolution { filters: 6 } }
          layers { average_pooling { size: 5 size_width: 1 stride: 1 padding: PADDING_SAME } }
          layers { average_pooling { size: 2 stride: 1 } })"},
      {"AveragePoolingBeyondTheImage",
       "layers { average_pooling { size: 31 stride: 4 padding: PADDING_SAME } }"},
      {"GlobalAverage", list},
      {"GlobalMaximum", R"(layers { convolution { filters: 6 } }
                           layers { global_pooling: GLOBAL_POOLING_MAX })"},
      {"Dropout", R"(layers { spatial_dropout { rate: 0.25 } } layers { convolution { filters: 6 } }
                     layers { dropout { rate: 0.25 } } layers { spatial_dropout {} }
                     layers { dense { units: 20 } } layers { dropout { rate: 0.5 } }
                     layers { dropout {} })"},
      {"Dense", R"(layers { dense { units: 9 } } layers { dense { units: 7 bias: false } }
                   layers { dense { units: 5 } })"},
      {"Residual", R"(layers { residual {
                        layers { convolution { filters: 4 } }
                        layers { activation: ACTIVATION_RELU }
                      } })"},
      {"ResidualOfMoreChannels",
       "layers { residual { layers { convolution { filters: 7 bias: false } } } }"},
      {"ResidualWithStride",
       R"(layers { residual {
            layers { convolution { filters: 7 stride: 2 } }
            layers { activation: ACTIVATION_RELU }
            layers { convolution { filters: 8 stride: 2 } }
          } })"},
      {"ResidualWithPooling",
       R"(layers { residual {
            layers { average_pooling { size: 3 stride: 3 padding: PADDING_SAME } } } })"},
      {"ResidualBlocksInEachOther",
       R"(layers { residual {
            layers { residual { layers { convolution { filters: 4 } } } }
            layers { residual { layers { convolution { filters: 6 stride: 2 } }
                                layers { residual { layers { layer_norm {} } } } } }
          } })"},
      {"ResidualOfLists", list + R"(layers { residual {
                                      layers { dense { units: 8 } }
                                      layers { activation: ACTIVATION_TANH }
                                      layers { dense { units: 6 bias: false } }
                                    } })"},
      {"SqueezeExcitation", R"(layers { squeeze_excitation { reduction: 1 } }
                               layers { convolution { filters: 6 } }
                               layers { squeeze_excitation { reduction: 4 } })"},
      {"SpatialAttention", R"(layers { spatial_attention {} } layers { convolution { filters: 6 } }
                              layers { spatial_attention { kernel: 1 } }
                              layers { spatial_attention { kernel: 3 } })"},
      {"Flatten", R"(layers { flatten {} } layers { batch_norm {} } layers { flatten {} }
                     layers { layer_norm {} } layers { dense { units: 5 } } layers { flatten {} })"},
      {"NothingButActivation", "layers { activation: ACTIVATION_TANH }"},
      {"Everything", EverythingOptions().architecture.network.ShortDebugString()},
  };
  const std::vector<LayerCase> activations = ActivationCases();
  cases.insert(cases.end(), activations.begin(), activations.end());
  return cases;
}

class LayerKindsTest : public testing::TestWithParam<LayerCase> {
 protected:
  static Architecture Network() {
    Architecture network;
    network.input = {4, 13, 10};
    network.classes = kClasses;
    network.dropout = 0.25;
    network.network = NetworkOf(GetParam().layers);
    EXPECT_TRUE(network.Validate().ok()) << network.Validate();
    return network;
  }

  // As if trained: no scale is 1 and no shift 0.
  static TrainedModel Model() {
    TrainedModel model = TrainedModel::Initial(Network(), 7);
    RandomStream random(3, RandomPurpose::kWeights);
    for (NamedTensor& tensor : model.tensors) {
      if (tensor.shape.size() != 1) continue;
      for (float& value : tensor.values) value += 0.5F * random.NextFloat();
    }
    return model;
  }

  static at::Tensor Images(const NetworkPlan& plan, int64_t count) {
    std::vector<float> pixels(static_cast<size_t>(count * plan.input.size()));
    RandomStream random(5, RandomPurpose::kWeights);
    for (float& pixel : pixels) pixel = random.NextFloat();
    return ImagesTensor(plan, absl::MakeConstSpan(pixels));
  }

  static at::Tensor Probabilities(const TrainedModel& model, const at::Tensor& images) {
    const at::InferenceMode inference;
    const NetworkPlan plan = PlanOf(model.architecture);
    return at::softmax(InferenceLogits(plan, TensorsOf(model), images), 1);
  }

  static onnx::ModelProto Onnx(const TrainedModel& model) {
    onnx::ModelProto file;
    EXPECT_TRUE(file.ParseFromString(SerializeOnnx(model, {"a", "b", "c"}).value()));
    return file;
  }

  static double Distance(const at::Tensor& one, const at::Tensor& other) {
    EXPECT_EQ(one.sizes(), other.sizes());
    EXPECT_TRUE(at::isfinite(one).all().item<bool>());
    return (one - other).abs().max().item<float>();
  }
};

// Bodies of residual blocks included.
std::set<int> KindsIn(const google::protobuf::RepeatedPtrField<v1::Layer>& layers) {
  std::set<int> kinds;
  for (const v1::Layer& layer : layers) {
    kinds.insert(layer.kind_case());
    kinds.merge(KindsIn(layer.residual().layers()));
  }
  return kinds;
}

TEST(LayerCasesTest, AllKindsAreTried) {
  std::set<int> kinds;
  for (const LayerCase& layer_case : LayerCases()) {
    kinds.merge(KindsIn(NetworkOf(layer_case.layers).layers()));
  }
  EXPECT_EQ(static_cast<int>(kinds.size()),
            v1::Layer::descriptor()->FindOneofByName("kind")->field_count());
  EXPECT_EQ(KindsIn(EverythingOptions().architecture.network.layers()), kinds);
}

TEST_P(LayerKindsTest, TorchScriptComputesTheSame) {
  const TrainedModel model = Model();
  const at::Tensor images = Images(PlanOf(model.architecture), 5);
  std::istringstream bytes(SerializeTorchScript(model));
  const at::InferenceMode inference;
  torch::jit::Module module = torch::jit::load(bytes);
  const at::Tensor expected = Probabilities(model, images);
  EXPECT_LE(Distance(module.forward({images}).toTensor(), expected), 1e-5);
  // However the images lie in memory.
  EXPECT_LE(Distance(module.forward({images.contiguous()}).toTensor(), expected), 1e-5);
  const at::Tensor one = images.slice(0, 2, 3);
  EXPECT_LE(Distance(module.forward({one}).toTensor(), expected.slice(0, 2, 3)), 1e-5);
}

TEST_P(LayerKindsTest, OnnxComputesTheSame) {
  const TrainedModel model = Model();
  const at::Tensor images = Images(PlanOf(model.architecture), 5);
  const onnx::ModelProto file = Onnx(model);
  const at::Tensor answers = OnnxRunner(file).Run(images);
  EXPECT_LE(Distance(answers, Probabilities(model, images)), 1e-5);
}

TEST_P(LayerKindsTest, OnnxItselfFindsNoFaultInTheFile) {
  onnx::ModelProto file = Onnx(Model());
  EXPECT_NO_THROW(onnx::checker::check_model(file));
  // What the operators make of the input's shape is what we say of the output's.
  file.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_NO_THROW(onnx::shape_inference::InferShapes(file));
  const auto& shape = file.graph().output(0).type().tensor_type().shape();
  ASSERT_EQ(shape.dim_size(), 2);
  EXPECT_EQ(shape.dim(0).dim_param(), "batch");
  EXPECT_EQ(shape.dim(1).dim_value(), kClasses);
}

// Load compares with model.pt by itself.
TEST_P(LayerKindsTest, AnArchiveOfItIsServed) {
  const TemporaryFolder folder;
  const TrainedModel model = Model();
  TrainingOptions options;
  options.architecture = model.architecture;
  const TrainingOutcome outcome;
  Evaluation evaluation;
  evaluation.confusion.assign(kClasses, std::vector<int64_t>(kClasses));
  evaluation.class_metrics.resize(kClasses);
  const std::string path = folder.File("model.tar.gz");
  const auto info = WriteModelArchive(
      path, {model, {"a", "b", "c"}, options, outcome, evaluation, "data", "", "", ""});
  ASSERT_TRUE(info.ok()) << info.status();
  const ModelArchive archive = ReadModelArchive(path).value();
  EXPECT_EQ(archive.architecture, model.architecture);
  EXPECT_EQ(TrainedModelOf(archive).value(), model);
  const auto predictor = Predictor::Load(path);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const at::Tensor images = Images(PlanOf(model.architecture), 5).contiguous();
  const std::vector<float> answers =
      (*predictor)
          ->Classify(
              absl::MakeConstSpan(images.data_ptr<float>(), static_cast<size_t>(images.numel())))
          .value();
  const at::Tensor ours = at::tensor(answers).view({5, kClasses});
  EXPECT_LE(Distance(ours, Probabilities(model, images)), 1e-5);
}

TrainingOptions OptionsFor(const Architecture& network) {
  TrainingOptions options;
  options.architecture = network;
  options.batch_size = 12;
  options.learning_rate = 0.003;
  options.shards = 2;
  return options;
}

TEST_P(LayerKindsTest, GradientsReachEveryParameter) {
  const TrainedModel model = Model();
  const TrainingOptions options = OptionsFor(model.architecture);
  const LabeledImages images = NoisyImages(model.architecture.input, kClasses, 12);
  TrainingEngine engine(options, images, model);
  engine.Step(FirstIndices(12), 0, options.learning_rate);
  const std::vector<float> moments = engine.OptimizerState()[0];
  size_t offset = 0;
  for (const TensorSpec& spec : TensorSpecsOf(model.architecture)) {
    if (!spec.trainable) continue;
    const auto begin = moments.begin() + static_cast<int64_t>(offset);
    const auto end = begin + spec.size();
    EXPECT_LT(std::count(begin, end, 0.0F), spec.size() / 2 + 1) << spec.name;
    EXPECT_TRUE(std::all_of(begin, end, [](float g) { return std::isfinite(g); })) << spec.name;
    offset += static_cast<size_t>(spec.size());
  }
  EXPECT_EQ(offset, moments.size());
}

TEST_P(LayerKindsTest, LossFallsInTraining) {
  const TrainedModel model = TrainedModel::Initial(Network(), 1);
  TrainingOptions options = OptionsFor(model.architecture);
  options.shards = 1;
  const LabeledImages images = NoisyImages(model.architecture.input, kClasses, 12);
  TrainingEngine engine(options, images, model);
  const auto loss = [&](int64_t step) {
    return engine.Step(FirstIndices(12), step, options.learning_rate).loss_sum;
  };
  const double first = loss(0);
  double last = first;
  for (int64_t step = 1; step < 40; ++step) last = loss(step);
  EXPECT_LT(last, first);
}

TEST_P(LayerKindsTest, StepsAlikeOnAnyNumberOfThreads) {
  const TrainedModel model = Model();
  TrainingOptions options = OptionsFor(model.architecture);
  const LabeledImages images = NoisyImages(model.architecture.input, kClasses, 12);
  const auto weights = [&](int64_t threads) {
    options.threads = threads;
    TrainingEngine engine(options, images, model);
    for (int64_t step = 0; step < 3; ++step) {
      engine.Step(FirstIndices(12), step, options.learning_rate);
    }
    return engine.Weights();
  };
  EXPECT_EQ(weights(2), weights(1));
}

INSTANTIATE_TEST_SUITE_P(All, LayerKindsTest, testing::ValuesIn(LayerCases()),
                         [](const auto& test) { return test.param.name; });

// While training, a share of the numbers is zero and the rest larger; a channel as a whole.
TEST(DropoutTest, DropsNumbersOrWholeChannels) {
  Architecture network;
  network.input = {6, 8, 8};
  network.classes = kClasses;
  for (const char* layer : {"dropout", "spatial_dropout"}) {
    network.network = NetworkOf(std::string("layers { ") + layer + " { rate: 0.25 } }");
    ASSERT_TRUE(network.Validate().ok()) << network.Validate();
    const NetworkPlan plan = PlanOf(network);
    // The last layer adds up all numbers.
    std::vector<at::Tensor> tensors = {at::eye(384), at::zeros({384})};
    RandomStream random(9, RandomPurpose::kStep);
    const at::Tensor x = TrainingLogits(plan, tensors, at::ones({50, 6, 8, 8}), {random});
    const at::Tensor kept = x.ne(0).view({50, 6, 64}).to(at::kFloat);
    EXPECT_NEAR(kept.mean().item<float>(), 0.75, 0.05) << layer;
    EXPECT_NEAR(x.max().item<float>(), 1 / 0.75, 1e-5) << layer;
    const at::Tensor share = kept.mean({2});
    const bool whole = (share.eq(0) + share.eq(1)).all().item<bool>();
    EXPECT_EQ(whole, std::string(layer) == "spatial_dropout") << layer;
  }
}

}  // namespace
}  // namespace atelier::models
