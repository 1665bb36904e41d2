// What the kernels cover: presets, and nothing that they do not know.
#include "models/kernels/coverage.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/compute/compile.h"
#include "models/kernels/fastest_precision.h"
#include "models/kernels/inference_program.h"
#include "models/kernels/pair_products.h"
#include "models/network/presets.h"
#include "models/network/trained_model.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;

Architecture Preset(const std::string& name) {
  return *Architecture::FromPreset(name, {4, 28, 28}, 10, 0.3);
}

// For images of 4×28×28.
Architecture NetworkFor(const v1::Network& layers) {
  Architecture network = Preset("dense");
  network.network = layers;
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
  return network;
}

TEST(CoverageTest, CoversEveryPreset) {
  for (const std::string& preset : PresetNames()) {
    EXPECT_TRUE(KernelsCoverTraining(Preset(preset), Precision::kFloat32, Device::kCpu).ok())
        << preset;
    EXPECT_TRUE(KernelsCoverInference(Preset(preset), Device::kCpu).ok()) << preset;
  }
}

TEST(CoverageTest, FindsTheBlocksOfEveryPreset) {
  for (const auto& preset : Presets()) {
    const auto covered = Cover(Preset(preset.name));
    ASSERT_TRUE(covered.ok()) << covered.status();
    EXPECT_EQ(covered->shape, preset.network) << preset.name;
    EXPECT_EQ(covered->input, (ImageShape{4, 28, 28}));
    EXPECT_EQ(covered->classes, 10);
    EXPECT_EQ(covered->dropout, preset.network.dense_layers.empty() ? 0 : 0.3) << preset.name;
  }
}

// What counts is what the layers compute, not how they are written down.
TEST(CoverageTest, SeesTheSameInEveryWayToWriteIt) {
  const auto covered = Cover(NetworkFor(NetworkOf(R"(
    name: "mine"
    layers { convolution { filters: 8 kernel: 3 kernel_width: 3 stride: 1 padding: PADDING_SAME
                           dilation: 1 groups: 1 bias: true } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm { momentum: 0.5 epsilon: 0.25 } }
    layers { max_pooling { size: 3 stride: 3 padding: PADDING_VALID } }
    layers { residual {
      layers { convolution { filters: 8 } }
      layers { activation: ACTIVATION_RELU }
      layers { batch_norm { epsilon: 0.25 } }
      layers { squeeze_excitation { reduction: 4 } }
      layers { convolution { filters: 8 } }
      layers { activation: ACTIVATION_RELU }
      layers { batch_norm { epsilon: 0.25 } }
    } }
    layers { dense { units: 16 bias: true } }
    layers { activation: ACTIVATION_RELU }
    layers { dropout { rate: 0.125 } }
    layers { dense { units: 5 } }
    layers { activation: ACTIVATION_RELU }
    layers { dropout { rate: 0.125 } })")));
  ASSERT_TRUE(covered.ok()) << covered.status();
  BlockNetwork expected;
  expected.blocks = {{8, 3}, {8, 0, 4}, {8, 0, 0, 2}};
  expected.dense_layers = {16, 5};
  expected.batch_norm_epsilon = 0.25;
  EXPECT_EQ(covered->shape, expected);
  EXPECT_EQ(covered->dropout, 0.125);
}

TEST(CoverageTest, DenseLayersWithoutDropoutHaveARateOfZero) {
  const auto covered = Cover(NetworkFor(NetworkOf(R"(
    layers { dense { units: 16 } }
    layers { activation: ACTIVATION_RELU })")));
  ASSERT_TRUE(covered.ok()) << covered.status();
  EXPECT_EQ(covered->dropout, 0);
}

TEST(CoverageTest, CoversTheProcessorOnly) {
  const Architecture network = Preset("cnn-1");
  EXPECT_TRUE(
      absl::IsUnimplemented(KernelsCoverTraining(network, Precision::kFloat32, Device::kCuda)));
  EXPECT_TRUE(absl::IsUnimplemented(KernelsCoverInference(network, Device::kCuda)));
}

TEST(CoverageTest, Bfloat16NeedsItsInstructions) {
  const Architecture network = Preset("cnn-1");
  const bool there = FindPairUnit() != PairUnit::kNone;
  EXPECT_EQ(KernelsCoverTraining(network, Precision::kBfloat16, Device::kCpu).ok(), there);
  LimitPairUnit(PairUnit::kNone);
  const absl::Status lacking = KernelsCoverTraining(network, Precision::kBfloat16, Device::kCpu);
  EXPECT_THAT(std::string(lacking.message()), HasSubstr("AVX-512 BF16"));
  EXPECT_EQ(FastestPrecision(network, Device::kCpu), Precision::kFloat32);
  LimitPairUnit(PairUnit::kTiles);
}

TEST(CoverageTest, TheFastestPrecisionIsOfNetworksThatTheKernelsTrain) {
  const Precision usual = FastestPrecision(Preset("cnn-1"), Device::kCpu);
  EXPECT_EQ(usual == Precision::kBfloat16, FindPairUnit() != PairUnit::kNone && PairsAreFaster());
  EXPECT_EQ(FastestPrecision(Preset("cnn-1"), Device::kCpu, 1), Precision::kFloat32);
  EXPECT_EQ(FastestPrecision(Preset("cnn-1"), Device::kCuda), Precision::kFloat32);
  EXPECT_EQ(FastestPrecision(GeneralOptions().architecture, Device::kCpu), Precision::kFloat32);
}

TEST(CoverageTest, AnInvalidNetworkIsNotCovered) {
  Architecture network = Preset("cnn-1");
  network.network.mutable_layers(0)->mutable_convolution()->set_filters(0);
  EXPECT_TRUE(absl::IsInvalidArgument(Cover(network).status()));
}

// A change to a network of two blocks of 8 filters, dense layers of 16 and 5, and the layer that
// the kernels then lack.
struct Unknown {
  std::string name;
  void (*make)(v1::Network&);
  std::string layer;
};

v1::Network Known() {
  BlockNetwork blocks;
  blocks.blocks = {{8, 2}, {8, 2, 0, 0}};
  blocks.dense_layers = {16, 5};
  return blocks.ToNetwork("known");
}

// The second block's convolution, activation, batch norm and pooling, and the dense layers' parts.
v1::Layer& Layer(v1::Network& network, int i) { return *network.mutable_layers(i); }
v1::Convolution& Second(v1::Network& network) { return *Layer(network, 4).mutable_convolution(); }
constexpr int kActivation = 5;
constexpr int kNorm = 6;
constexpr int kPooling = 7;
constexpr int kFlatten = 8;
constexpr int kDense = 9;
constexpr int kDenseActivation = 10;
constexpr int kSecondDropout = 14;

// Makes the second block a residual one, without pooling.
v1::Residual& Wrap(v1::Network& network) {
  v1::Residual residual;
  for (int i = 4; i < kPooling; ++i) residual.add_layers()->Swap(&Layer(network, i));
  network.mutable_layers()->DeleteSubrange(5, 3);
  *Layer(network, 4).mutable_residual() = residual;
  return *Layer(network, 4).mutable_residual();
}

class UnknownLayerTest : public testing::TestWithParam<Unknown> {};

Architecture WithUnknown(const Unknown& unknown) {
  v1::Network layers = Known();
  unknown.make(layers);
  return NetworkFor(layers);
}

TEST(CoverageTest, TheNetworkThatIsChangedHereIsCovered) {
  EXPECT_TRUE(Cover(NetworkFor(Known())).ok()) << Cover(NetworkFor(Known())).status();
  v1::Network wrapped = Known();
  Wrap(wrapped);
  EXPECT_TRUE(Cover(NetworkFor(wrapped)).ok()) << Cover(NetworkFor(wrapped)).status();
}

TEST_P(UnknownLayerTest, IsNotCovered) {
  const Architecture network = WithUnknown(GetParam());
  const absl::Status training = KernelsCoverTraining(network, Precision::kFloat32, Device::kCpu);
  EXPECT_TRUE(absl::IsUnimplemented(training)) << training;
  EXPECT_THAT(std::string(training.message()), HasSubstr("(" + GetParam().layer + ")"));
  EXPECT_FALSE(KernelsCoverInference(network, Device::kCpu).ok());
}

TEST_P(UnknownLayerTest, IsComputedByLibTorchAndRefusedByTheKernels) {
  const TrainedModel model = TrainedModel::Initial(WithUnknown(GetParam()), 1);
  EXPECT_EQ(Compile(model)->path(), ComputePath::kLibTorch);
  EXPECT_THROW(InferenceProgram program(model), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(
    All, UnknownLayerTest,
    testing::Values(
        Unknown{"KernelHeight", [](v1::Network& n) { Second(n).set_kernel(5); }, "conv2"},
        Unknown{"KernelWidth", [](v1::Network& n) { Second(n).set_kernel_width(1); }, "conv2"},
        Unknown{"Stride", [](v1::Network& n) { Second(n).set_stride(2); }, "conv2"},
        Unknown{"Groups", [](v1::Network& n) { Second(n).set_groups(8); }, "conv2"},
        Unknown{"Dilation", [](v1::Network& n) { Second(n).set_dilation(2); }, "conv2"},
        Unknown{"NoPadding", [](v1::Network& n) { Second(n).set_padding(v1::PADDING_VALID); },
                "conv2"},
        Unknown{"NoBias", [](v1::Network& n) { Second(n).set_bias(false); }, "conv2"},
        Unknown{"Gelu",
                [](v1::Network& n) { Layer(n, kActivation).set_activation(v1::ACTIVATION_GELU); },
                "activation2"},
        Unknown{"NormBeforeActivation",
                [](v1::Network& n) { n.mutable_layers()->SwapElements(kActivation, kNorm); },
                "norm2"},
        Unknown{"NoNorm", [](v1::Network& n) { n.mutable_layers()->DeleteSubrange(kNorm, 1); },
                "pool2"},
        Unknown{"AnotherEpsilon",
                [](v1::Network& n) { Layer(n, kNorm).mutable_batch_norm()->set_epsilon(0.5); },
                "norm2"},
        Unknown{"GroupNorm",
                [](v1::Network& n) { Layer(n, kNorm).mutable_group_norm()->set_groups(2); },
                "group_norm1"},
        Unknown{"LayerNorm", [](v1::Network& n) { Layer(n, kNorm).mutable_layer_norm(); },
                "layer_norm1"},
        Unknown{"AveragePooling",
                [](v1::Network& n) { Layer(n, kPooling).mutable_average_pooling(); }, "pool2"},
        Unknown{"OblongPooling",
                [](v1::Network& n) { Layer(n, kPooling).mutable_max_pooling()->set_size_width(3); },
                "pool2"},
        Unknown{"OverlappingPooling",
                [](v1::Network& n) { Layer(n, kPooling).mutable_max_pooling()->set_stride(1); },
                "pool2"},
        Unknown{"PaddedPooling",
                [](v1::Network& n) {
                  Layer(n, kPooling).mutable_max_pooling()->set_size(3);
                  Layer(n, kPooling).mutable_max_pooling()->set_padding(v1::PADDING_SAME);
                },
                "pool2"},
        Unknown{"SpatialAttention",
                [](v1::Network& n) { Layer(n, kPooling).mutable_spatial_attention(); },
                "attention1"},
        Unknown{"SpatialDropout",
                [](v1::Network& n) { Layer(n, kPooling).mutable_spatial_dropout(); }, "dropout1"},
        Unknown{
            "GlobalMaximum",
            [](v1::Network& n) { Layer(n, kFlatten).set_global_pooling(v1::GLOBAL_POOLING_MAX); },
            "global_pool1"},
        Unknown{"DenseWithoutBias",
                [](v1::Network& n) { Layer(n, kDense).mutable_dense()->set_bias(false); },
                "dense1"},
        Unknown{
            "DenseTanh",
            [](v1::Network& n) { Layer(n, kDenseActivation).set_activation(v1::ACTIVATION_TANH); },
            "activation3"},
        Unknown{"UnequalDropout",
                [](v1::Network& n) { Layer(n, kSecondDropout).mutable_dropout()->set_rate(0.5); },
                "dropout2"},
        Unknown{"NormOfAList",
                [](v1::Network& n) { Layer(n, kSecondDropout).mutable_batch_norm(); }, "norm3"},
        Unknown{"Projection",
                [](v1::Network& n) {
                  Wrap(n).mutable_layers(0)->mutable_convolution()->set_filters(9);
                },
                "residual1"},
        Unknown{"ResidualBlockOfOtherLayers",
                [](v1::Network& n) { Wrap(n).mutable_layers()->RemoveLast(); }, "activation2"},
        Unknown{"ResidualBlockFirst",
                [](v1::Network& n) {
                  Wrap(n).mutable_layers(0)->mutable_convolution()->set_filters(4);
                  n.mutable_layers()->DeleteSubrange(0, 4);
                },
                "residual1"},
        Unknown{"ResidualBlocksInEachOther",
                [](v1::Network& n) {
                  v1::Residual& outer = Wrap(n);
                  const v1::Residual inner = outer;
                  *outer.add_layers()->mutable_residual() = inner;
                },
                "residual2"}),
    [](const auto& test) { return test.param.name; });

TEST(CompileTest, TakesTheKernelsWhereTheyCoverAndMay) {
  const TrainedModel model = TrainedModel::Initial(Preset("cnn-1"), 1);
  EXPECT_EQ(Compile(model)->path(), ComputePath::kKernels);
  const auto forced = Compile(model, {Precision::kBfloat16, Device::kCpu, PathChoice::kLibTorch});
  EXPECT_EQ(forced->path(), ComputePath::kLibTorch);
}

TEST(CompileTest, TellsThePrecisionThatItKeeps) {
  const TrainedModel model = TrainedModel::Initial(Preset("cnn-1"), 1);
  EXPECT_EQ(Compile(model, {Precision::kBfloat16})->precision(), Precision::kBfloat16);
  EXPECT_EQ(Compile(model, {Precision::kFloat32})->precision(), Precision::kFloat32);
  constexpr ProductRounding kNone = ProductRounding::kNone;
  EXPECT_EQ(Compile(model, {Precision::kBfloat16})->product_rounding(), kNone);
  CompileOptions options = {Precision::kBfloat16};
  for (const auto rounding : {ProductRounding::kDirect, ProductRounding::kTransformed}) {
    options.product_rounding = rounding;
    EXPECT_EQ(Compile(model, options)->product_rounding(),
              rounding == FastestProductRounding() ? rounding : kNone);
  }
  options = {Precision::kFloat32};
  options.product_rounding = FastestProductRounding();
  EXPECT_EQ(Compile(model, options)->product_rounding(), kNone);
  const auto forced = Compile(model, {Precision::kBfloat16, Device::kCpu, PathChoice::kLibTorch});
  EXPECT_EQ(forced->precision(), Precision::kFloat32);
  EXPECT_EQ(forced->memory_bytes(), 4 * model.architecture.ParameterCount());
}

}  // namespace
}  // namespace atelier::models
