#include "models/network/architecture.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/trained_model.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kGrey28 = {1, 28, 28};

struct PresetCounts {
  std::string preset;
  int64_t trainable;
  int64_t total;
};

class PresetTest : public testing::TestWithParam<PresetCounts> {};

TEST_P(PresetTest, HasTheStudysParameterCounts) {
  const auto network = Architecture::FromPreset(GetParam().preset, kGrey28, 10, 0.3);
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->TrainableParameterCount(), GetParam().trainable);
  EXPECT_EQ(network->ParameterCount(), GetParam().total);
}

// Counted another way: by the tensors that the network is built from.
TEST_P(PresetTest, CountsWhatItsTensorsHold) {
  for (const auto& [shape, classes] : {std::pair(kGrey28, 10), std::pair(ImageShape{3, 32, 32}, 47),
                                       std::pair(ImageShape{1, 30, 17}, 2)}) {
    const auto network = Architecture::FromPreset(GetParam().preset, shape, classes, 0);
    ASSERT_TRUE(network.ok()) << network.status();
    int64_t trainable = 0;
    int64_t total = 0;
    for (const TensorSpec& spec : TensorSpecsOf(*network)) {
      total += spec.size();
      if (spec.trainable) trainable += spec.size();
    }
    EXPECT_EQ(network->TrainableParameterCount(), trainable);
    EXPECT_EQ(network->ParameterCount(), total);
  }
}

TEST_P(PresetTest, SurvivesJson) {
  const auto network = Architecture::FromPreset(GetParam().preset, {3, 32, 40}, 47, 0.25);
  ASSERT_TRUE(network.ok()) << network.status();
  const auto again = Architecture::FromJson(network->ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *network);
}

INSTANTIATE_TEST_SUITE_P(All, PresetTest,
                         testing::Values(PresetCounts{"dense", 109386, 109386},
                                         PresetCounts{"cnn-1", 202506, 202570},
                                         PresetCounts{"cnn-2", 421834, 422026},
                                         PresetCounts{"cnn-3", 897354, 897802},
                                         PresetCounts{"cnn-3-pooled", 249610, 250058},
                                         PresetCounts{"cnn-3-attention", 908386, 908834},
                                         PresetCounts{"resnet", 269930, 271082}),
                         [](const auto& test) {
                           std::string name = test.param.preset;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ArchitectureTest, KeepsSevenBySevenFeaturesForEveryUnpooledDepth) {
  for (const char* preset : {"cnn-1", "cnn-2", "cnn-3"}) {
    const auto network = Architecture::FromPreset(preset, kGrey28, 10, 0.3);
    ASSERT_TRUE(network.ok());
    EXPECT_EQ(network->FeatureShape().height, 7);
    EXPECT_EQ(network->FeatureShape().width, 7);
  }
}

TEST(ArchitectureTest, NamesThePresetsWhenOneIsUnknown) {
  const auto network = Architecture::FromPreset("cnn-9", kGrey28, 10, 0.3);
  EXPECT_TRUE(absl::IsInvalidArgument(network.status()));
  EXPECT_THAT(std::string(network.status().message()), HasSubstr("'cnn-9'"));
  EXPECT_THAT(std::string(network.status().message()), HasSubstr("cnn-3-pooled"));
}

struct Mistake {
  std::string name;
  void (*make)(Architecture&);
  std::string message;
};

class ArchitectureMistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(ArchitectureMistakeTest, IsNamed) {
  Architecture network = *Architecture::FromPreset("cnn-3", kGrey28, 10, 0.3);
  GetParam().make(network);
  const absl::Status status = network.Validate();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, ArchitectureMistakeTest,
    testing::Values(
        Mistake{"OneClass", [](Architecture& a) { a.classes = 1; }, "classes is 1"},
        Mistake{"TooManyClasses", [](Architecture& a) { a.classes = 257; }, "2 to 256"},
        Mistake{"NoChannels", [](Architecture& a) { a.input.channels = 0; }, "channels is 0"},
        Mistake{"HugeImage", [](Architecture& a) { a.input.width = 1 << 20; }, "width is 1048576"},
        Mistake{"DropoutOfOne", [](Architecture& a) { a.dropout = 1; }, "dropout is 1"},
        Mistake{"DropoutNan", [](Architecture& a) { a.dropout = std::nan(""); }, "dropout is nan"},
        Mistake{"NegativeDropout", [](Architecture& a) { a.dropout = -0.1; }, "dropout is -0.1"},
        Mistake{"NoEpsilon", [](Architecture& a) { a.batch_norm_epsilon = 0; }, "epsilon is 0"},
        Mistake{"NoFilters", [](Architecture& a) { a.conv_blocks[1].filters = 0; },
                "filters of conv block 2 is 0"},
        Mistake{"NegativePooling", [](Architecture& a) { a.conv_blocks[0].pool = -2; },
                "pooling of conv block 1 is -2"},
        Mistake{"PoolingBeyondTheImage", [](Architecture& a) { a.conv_blocks[2].pool = 8; },
                "only 7x7 pixels are left"},
        Mistake{"SqueezeToNothing", [](Architecture& a) { a.conv_blocks[1].squeeze = 65; },
                "squeeze of conv block 2 is 65; it must be 0 to 64"},
        Mistake{"SkipFromBeforeTheFirst", [](Architecture& a) { a.conv_blocks[1].skip = 2; },
                "skip of conv block 2 is 2; it must be 0 to 1"},
        Mistake{"SkipBetweenShapes", [](Architecture& a) { a.conv_blocks[1].skip = 1; },
                "conv block 2 gives 64x7x7, the block 1 before it 32x14x14"},
        Mistake{"KernelTooHigh", [](Architecture& a) { a.conv_blocks[1].kernel_height = 12; },
                "kernel height of conv block 2 is 12; it must be 1 to 11"},
        Mistake{"NoKernel", [](Architecture& a) { a.conv_blocks[1].kernel_width = 0; },
                "kernel width of conv block 2 is 0; it must be 1 to 11"},
        Mistake{"NoStride", [](Architecture& a) { a.conv_blocks[1].stride = 0; },
                "stride of conv block 2 is 0; it must be 1 to 8"},
        Mistake{"StrideBeforePooling",
                [](Architecture& a) {
                  a.conv_blocks[0].stride = 8;
                  a.conv_blocks[0].pool = 5;
                },
                "only 4x4 pixels are left"},
        Mistake{"NoGroups", [](Architecture& a) { a.conv_blocks[1].groups = 0; },
                "groups of conv block 2 are 0"},
        Mistake{"GroupsOfUnequalInputs", [](Architecture& a) { a.conv_blocks[1].groups = 64; },
                "must divide its 32 input channels and its 64 filters"},
        Mistake{"GroupsOfUnequalFilters",
                [](Architecture& a) {
                  a.conv_blocks[1].filters = 24;
                  a.conv_blocks[1].groups = 32;
                },
                "must divide its 32 input channels and its 24 filters"},
        Mistake{"MeansOfNoChannels",
                [](Architecture& a) {
                  a.conv_blocks = {};
                  a.average_features = true;
                },
                "average_features"},
        Mistake{"EmptyDenseLayer", [](Architecture& a) { a.dense_layers = {0}; },
                "width of a dense layer is 0"},
        Mistake{"TooManyParameters",
                [](Architecture& a) {
                  a.dense_layers = {65536, 65536};
                },
                "number of parameters"}),
    [](const auto& test) { return test.param.name; });

// Archives and checkpoints of earlier builds stay what they are.
TEST(ArchitectureTest, JsonTellsOnlyOfExtrasThatAreThere) {
  const std::string plain = Architecture::FromPreset("cnn-1", kGrey28, 10, 0.25)->ToJson();
  EXPECT_EQ(plain, R"({"name":"cnn-1","input":{"channels":1,"height":28,"width":28},"classes":10,)"
                   R"("conv_blocks":[{"filters":32,"pool":4}],"dense_layers":[128],"dropout":0.25,)"
                   R"("batch_norm_epsilon":0.001})");
  const std::string resnet = Architecture::FromPreset("resnet", kGrey28, 10, 0.25)->ToJson();
  EXPECT_THAT(resnet, HasSubstr(R"({"filters":32,"pool":0,"skip":2})"));
  EXPECT_THAT(resnet, HasSubstr(R"("average_features":true)"));
}

// A network with everything that a block can have.
Architecture Unusual() {
  Architecture network = *Architecture::FromPreset("cnn-3", {4, 28, 19}, 10, 0.25);
  network.conv_blocks[0].kernel_height = 5;
  network.conv_blocks[0].kernel_width = 4;
  network.conv_blocks[0].stride = 3;
  network.conv_blocks[1].groups = 32;
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
  return network;
}

TEST(ArchitectureTest, JsonKeepsKernelStrideAndGroups) {
  const Architecture network = Unusual();
  EXPECT_THAT(network.ToJson(),
              HasSubstr(R"({"filters":32,"pool":2,"kernel_height":5,"kernel_width":4,"stride":3},)"
                        R"({"filters":64,"pool":2,"groups":32})"));
  const auto again = Architecture::FromJson(network.ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, network);
}

TEST(ArchitectureTest, StridesRoundUpAndPoolingRoundsDown) {
  ConvBlock block;
  block.filters = 7;
  block.stride = 3;
  block.pool = 2;
  EXPECT_EQ(block.ConvolvedShape({1, 28, 19}), (ImageShape{7, 10, 7}));
  EXPECT_EQ(block.OutputShape({1, 28, 19}), (ImageShape{7, 5, 3}));
}

TEST(ArchitectureTest, CountsKernelsAndGroups) {
  const Architecture network = Unusual();
  EXPECT_EQ(network.FeatureShape(), (ImageShape{128, 2, 1}));
  const int64_t convolutions = 32 * (4 * 5 * 4 + 3) + 64 * (32 / 32 * 9 + 3) + 128 * (64 * 9 + 3);
  EXPECT_EQ(network.TrainableParameterCount(), convolutions + 128 * (256 + 1) + 10 * (128 + 1));
  int64_t trainable = 0;
  for (const TensorSpec& spec : TensorSpecsOf(network)) {
    if (spec.trainable) trainable += spec.size();
  }
  EXPECT_EQ(network.TrainableParameterCount(), trainable);
}

TEST(ArchitectureTest, RefusesDamagedJson) {
  const std::string good = Architecture::FromPreset("cnn-1", kGrey28, 10, 0.3)->ToJson();
  EXPECT_FALSE(Architecture::FromJson("").ok());
  EXPECT_FALSE(Architecture::FromJson(good.substr(0, good.size() / 2)).ok());
  EXPECT_FALSE(Architecture::FromJson("{}").ok());
  EXPECT_FALSE(Architecture::FromJson("[1, 2]").ok());
  std::string negative = good;
  negative.replace(negative.find("\"classes\":10"), 12, "\"classes\":-1");
  EXPECT_FALSE(Architecture::FromJson(negative).ok());
}

TEST(TrainedModelTest, StartsGlorotUniformWithZeroBiases) {
  const TrainedModel model =
      TrainedModel::Initial(*Architecture::FromPreset("cnn-2", kGrey28, 10, 0), 7);
  ASSERT_TRUE(model.Validate().ok());
  const NamedTensor* kernel = model.Find("conv2.weight");
  ASSERT_NE(kernel, nullptr);
  const float limit = std::sqrt(6.0F / (9 * (32 + 64)));
  float largest = 0;
  double sum = 0;
  for (const float value : kernel->values) {
    largest = std::max(largest, std::abs(value));
    sum += value;
  }
  EXPECT_LE(largest, limit);
  EXPECT_GT(largest, 0.99F * limit);
  EXPECT_NEAR(sum / static_cast<double>(kernel->values.size()), 0, limit / 50);
  EXPECT_THAT(model.Find("conv2.bias")->values, testing::Each(0.0F));
  EXPECT_THAT(model.Find("norm2.running_var")->values, testing::Each(1.0F));
}

// Each group is a convolution of its own.
TEST(TrainedModelTest, GroupsCountByTheirOwnInputsAndOutputs) {
  const TrainedModel model = TrainedModel::Initial(Unusual(), 7);
  const float limit = std::sqrt(6.0F / (9 * (1 + 2)));
  float largest = 0;
  for (const float value : model.Find("conv2.weight")->values) {
    largest = std::max(largest, std::abs(value));
  }
  EXPECT_LE(largest, limit);
  EXPECT_GT(largest, 0.95F * limit);
}

TEST(TrainedModelTest, StartsTheSameForTheSameSeedOnly) {
  const Architecture network = *Architecture::FromPreset("dense", kGrey28, 10, 0);
  EXPECT_EQ(TrainedModel::Initial(network, 1), TrainedModel::Initial(network, 1));
  EXPECT_NE(TrainedModel::Initial(network, 1), TrainedModel::Initial(network, 2));
}

TEST(TrainedModelTest, NoticesTensorsOfAnotherNetwork) {
  TrainedModel model = TrainedModel::Initial(*Architecture::FromPreset("dense", kGrey28, 10, 0), 1);
  model.tensors[2].values.pop_back();
  EXPECT_FALSE(model.Validate().ok());
  model.tensors.pop_back();
  EXPECT_FALSE(model.Validate().ok());
}

}  // namespace
}  // namespace atelier::models
