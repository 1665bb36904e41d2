#include "models/network/architecture.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/presets.h"
#include "models/network/trained_model.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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
  EXPECT_EQ(again->network.name(), GetParam().preset);
  EXPECT_EQ(again->input, network->input);
  EXPECT_EQ(again->classes, 47);
  EXPECT_EQ(again->dropout, 0.25);
}

// An architecture as version 0.1.0 wrote it.
nlohmann::json BlocksJson(const std::string& preset, ImageShape input, int64_t classes,
                          double dropout) {
  const BlockNetwork& network = FindPreset(preset)->network;
  nlohmann::json blocks = nlohmann::json::array();
  for (const ConvBlock& block : network.blocks) {
    blocks.push_back({{"filters", block.filters}, {"pool", block.pool}});
    if (block.squeeze != 0) blocks.back()["squeeze"] = block.squeeze;
    if (block.skip != 0) blocks.back()["skip"] = block.skip;
  }
  nlohmann::json json = {
      {"name", preset},
      {"input", {{"channels", input.channels}, {"height", input.height}, {"width", input.width}}},
      {"classes", classes},
      {"conv_blocks", blocks},
      {"dense_layers", network.dense_layers},
      {"dropout", dropout},
      {"batch_norm_epsilon", network.batch_norm_epsilon}};
  if (network.average_features) json["average_features"] = true;
  return json;
}

TEST_P(PresetTest, IsReadFromWhatEarlierVersionsWrote) {
  for (const ImageShape& shape : {kGrey28, ImageShape{3, 31, 18}}) {
    const auto network = Architecture::FromPreset(GetParam().preset, shape, 47, 0.25);
    ASSERT_TRUE(network.ok()) << network.status();
    const auto earlier =
        Architecture::FromJson(BlocksJson(GetParam().preset, shape, 47, 0.25).dump());
    ASSERT_TRUE(earlier.ok()) << earlier.status();
    EXPECT_EQ(*earlier, *network);
    EXPECT_EQ(earlier->network.SerializeAsString(), network->network.SerializeAsString());
  }
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
    ImageShape features;
    ForEachLayer(PlanOf(*network).layers, [&](const LayerPlan& layer) {
      if (layer.gives_image) features = layer.output;
    });
    EXPECT_EQ(features.height, 7) << preset;
    EXPECT_EQ(features.width, 7) << preset;
  }
}

TEST(ArchitectureTest, NamesThePresetsWhenOneIsUnknown) {
  const auto network = Architecture::FromPreset("cnn-9", kGrey28, 10, 0.3);
  EXPECT_TRUE(absl::IsInvalidArgument(network.status()));
  EXPECT_THAT(std::string(network.status().message()), HasSubstr("'cnn-9'"));
  EXPECT_THAT(std::string(network.status().message()), HasSubstr("cnn-3-pooled"));
}

// Literally what version 0.1.0 wrote.
TEST(ArchitectureTest, ReadsTheJsonOfEarlierVersions) {
  const auto plain = Architecture::FromJson(
      R"({"name":"cnn-1","input":{"channels":1,"height":28,"width":28},"classes":10,)"
      R"("conv_blocks":[{"filters":32,"pool":4}],"dense_layers":[128],"dropout":0.25,)"
      R"("batch_norm_epsilon":0.001})");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(*plain, *Architecture::FromPreset("cnn-1", kGrey28, 10, 0.25));
  const auto other = Architecture::FromJson(
      R"({"name":"","input":{"channels":1,"height":9,"width":8},"classes":3,)"
      R"("conv_blocks":[{"filters":4,"pool":2},{"filters":4,"pool":0,"squeeze":2,"skip":1}],)"
      R"("dense_layers":[],"dropout":0,"batch_norm_epsilon":0.5,"average_features":true})");
  ASSERT_TRUE(other.ok()) << other.status();
  Architecture expected;
  expected.input = {1, 9, 8};
  expected.classes = 3;
  expected.network = NetworkOf(R"(
    layers { convolution { filters: 4 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm { epsilon: 0.5 } }
    layers { max_pooling { size: 2 } }
    layers { residual {
      layers { convolution { filters: 4 } }
      layers { activation: ACTIVATION_RELU }
      layers { batch_norm { epsilon: 0.5 } }
      layers { squeeze_excitation { reduction: 2 } }
    } }
    layers { global_pooling: GLOBAL_POOLING_AVERAGE })");
  EXPECT_EQ(*other, expected);
}

TEST(ArchitectureTest, RefusesDamagedJsonOfEarlierVersions) {
  const nlohmann::json good = BlocksJson("cnn-2", kGrey28, 10, 0.3);
  ASSERT_TRUE(Architecture::FromJson(good.dump()).ok());
  for (const char* field :
       {"name", "input", "classes", "dense_layers", "dropout", "batch_norm_epsilon"}) {
    nlohmann::json damaged = good;
    damaged.erase(field);
    EXPECT_FALSE(Architecture::FromJson(damaged.dump()).ok()) << field;
    damaged[field] = nlohmann::json::array({"text"});
    EXPECT_FALSE(Architecture::FromJson(damaged.dump()).ok()) << field;
  }
  nlohmann::json damaged = good;
  damaged["conv_blocks"][1].erase("pool");
  EXPECT_FALSE(Architecture::FromJson(damaged.dump()).ok());
  damaged = good;
  damaged["conv_blocks"][1]["filters"] = 0;
  EXPECT_THAT(std::string(Architecture::FromJson(damaged.dump()).status().message()),
              HasSubstr("layer 5 (conv2): filters is 0"));
}

TEST(ArchitectureTest, TakesWholeNumbersWhereThereIsNoOther) {
  nlohmann::json damaged = BlocksJson("cnn-2", kGrey28, 10, 0.3);
  for (const nlohmann::json& number : {nlohmann::json(1e99), nlohmann::json(2.5)}) {
    damaged["classes"] = number;
    EXPECT_THAT(std::string(Architecture::FromJson(damaged.dump()).status().message()),
                HasSubstr("classes is not a whole number"));
  }
}

// A network with options that no preset has.
Architecture Unusual() {
  Architecture network;
  network.input = {4, 28, 19};
  network.classes = 10;
  network.dropout = 0.25;
  network.network = NetworkOf(R"(
    name: "unusual"
    layers { convolution { filters: 32 kernel: 5 kernel_width: 4 stride: 3 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm { momentum: 0.25 } }
    layers { max_pooling {} }
    layers { convolution { filters: 64 groups: 32 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { max_pooling {} }
    layers { convolution { filters: 128 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { dense { units: 128 } }
    layers { activation: ACTIVATION_RELU }
    layers { dropout { rate: 0 } })");
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
  return network;
}

TEST(ArchitectureTest, JsonIsTheNetworkAsItWasGiven) {
  const Architecture network = Unusual();
  const nlohmann::json json = nlohmann::json::parse(network.ToJson());
  EXPECT_EQ(json["input"], nlohmann::json({{"channels", 4}, {"height", 28}, {"width", 19}}));
  EXPECT_EQ(json["classes"], 10);
  EXPECT_EQ(json["dropout"], 0.25);
  EXPECT_EQ(json["network"]["name"], "unusual");
  const nlohmann::json& layers = json["network"]["layers"];
  ASSERT_EQ(layers.size(), 14U);
  // Fields that were not set are not there, fields that were set to nothing are.
  EXPECT_EQ(layers[0],
            nlohmann::json::parse(
                R"({"convolution":{"filters":32,"kernel":5,"kernel_width":4,"stride":3}})"));
  EXPECT_EQ(layers[1], nlohmann::json::parse(R"({"activation":"ACTIVATION_RELU"})"));
  EXPECT_EQ(layers[2], nlohmann::json::parse(R"({"batch_norm":{"momentum":0.25}})"));
  EXPECT_EQ(layers[3], nlohmann::json::parse(R"({"max_pooling":{}})"));
  EXPECT_EQ(layers[4], nlohmann::json::parse(R"({"convolution":{"filters":64,"groups":32}})"));
  EXPECT_EQ(layers[13], nlohmann::json::parse(R"({"dropout":{"rate":0.0}})"));
  const auto again = Architecture::FromJson(network.ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, network);
  EXPECT_EQ(again->network.SerializeAsString(), network.network.SerializeAsString());
}

TEST(ArchitectureTest, IsEqualOnlyIfAllOfItIs) {
  const Architecture network = Unusual();
  const auto differs = [&network](void (*change)(Architecture&)) {
    Architecture other = network;
    change(other);
    return !(other == network);
  };
  EXPECT_TRUE(differs([](Architecture& a) { a.classes = 11; }));
  EXPECT_TRUE(differs([](Architecture& a) { a.dropout = 0.5; }));
  EXPECT_TRUE(differs([](Architecture& a) { a.input.width = 20; }));
  EXPECT_TRUE(differs([](Architecture& a) { a.network.set_name(""); }));
  EXPECT_TRUE(differs([](Architecture& a) { a.network.mutable_layers()->RemoveLast(); }));
  EXPECT_FALSE(differs([](Architecture&) {}));
}

TEST(ArchitectureTest, CountsKernelsAndGroups) {
  const Architecture network = Unusual();
  const int64_t convolutions = 32 * (4 * 5 * 4 + 3) + 64 * (32 / 32 * 9 + 3) + 128 * (64 * 9 + 3);
  EXPECT_EQ(network.TrainableParameterCount(), convolutions + 128 * (256 + 1) + 10 * (128 + 1));
  EXPECT_EQ(network.ParameterCount(), network.TrainableParameterCount() + 2 * (32 + 64 + 128));
  int64_t trainable = 0;
  for (const TensorSpec& spec : TensorSpecsOf(network)) {
    if (spec.trainable) trainable += spec.size();
  }
  EXPECT_EQ(network.TrainableParameterCount(), trainable);
}

TEST(ArchitectureTest, RefusesDamagedJson) {
  const std::string good = Architecture::FromPreset("cnn-1", kGrey28, 10, 0.3)->ToJson();
  EXPECT_TRUE(Architecture::FromJson(good).ok());
  EXPECT_FALSE(Architecture::FromJson("").ok());
  EXPECT_FALSE(Architecture::FromJson(good.substr(0, good.size() / 2)).ok());
  EXPECT_FALSE(Architecture::FromJson("{}").ok());
  EXPECT_FALSE(Architecture::FromJson("[1, 2]").ok());
  std::string negative = good;
  negative.replace(negative.find("\"classes\":10"), 12, "\"classes\":-1");
  EXPECT_FALSE(Architecture::FromJson(negative).ok());
}

TEST(ArchitectureTest, RefusesLayersThatItDoesNotKnow) {
  const nlohmann::json good =
      nlohmann::json::parse(Architecture::FromPreset("cnn-1", kGrey28, 10, 0.3)->ToJson());
  const auto message = [&good](const char* layer) {
    nlohmann::json json = good;
    json["network"]["layers"][1] = nlohmann::json::parse(layer);
    return std::string(Architecture::FromJson(json.dump()).status().message());
  };
  EXPECT_EQ(message(R"({"activation": "ACTIVATION_GELU"})"), "");
  EXPECT_THAT(message(R"({"fourier": {}})"), HasSubstr("fourier"));
  EXPECT_THAT(message(R"({"convolution": {"filters": 3, "petals": 5}})"), HasSubstr("petals"));
  EXPECT_THAT(message(R"({"convolution": {"filters": "many"}})"), HasSubstr("many"));
  EXPECT_THAT(message(R"({"activation": "ACTIVATION_STEP"})"), HasSubstr("ACTIVATION_STEP"));
  EXPECT_THAT(message(R"({"activation": 99})"), HasSubstr("layer 2 (activation1)"));
  EXPECT_THAT(message(R"({"batch_norm": {"epsilon": "NaN"}})"), HasSubstr("epsilon is nan"));
  EXPECT_THAT(message("{}"), HasSubstr("layer 2 (unknown1)"));
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

// The largest weight of a tensor.
float LargestOf(const TrainedModel& model, const std::string& name) {
  float largest = 0;
  for (const float value : model.Find(name)->values) {
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

// Each group is a convolution of its own.
TEST(TrainedModelTest, GroupsCountByTheirOwnInputsAndOutputs) {
  const TrainedModel model = TrainedModel::Initial(Unusual(), 7);
  const float limit = std::sqrt(6.0F / (9 * (1 + 2)));
  EXPECT_LE(LargestOf(model, "conv2.weight"), limit);
  EXPECT_GT(LargestOf(model, "conv2.weight"), 0.95F * limit);
}

TEST(TrainedModelTest, EveryWeightStartsGlorotUniformAndEveryNormAsTheIdentity) {
  Architecture network;
  network.input = {32, 20, 20};
  network.classes = 10;
  network.network = NetworkOf(R"(
    layers { residual {
      layers { convolution { filters: 48 stride: 2 bias: false } }
      layers { group_norm { groups: 8 } }
      layers { spatial_attention {} }
      layers { squeeze_excitation { reduction: 2 } }
    } }
    layers { layer_norm {} }
    layers { dense { units: 64 bias: false } })");
  ASSERT_TRUE(network.Validate().ok()) << network.Validate();
  const TrainedModel model = TrainedModel::Initial(network, 3);
  const std::pair<const char*, float> weights[] = {
      {"projection1.weight", 32 + 48},     {"conv1.weight", 9 * (32 + 48)},
      {"attention1.weight", 49 * (2 + 1)}, {"squeeze1.weight", 48 + 24},
      {"excite1.weight", 24 + 48},         {"dense1.weight", 4800 + 64},
      {"output.weight", 64 + 10}};
  for (const auto& [name, fans] : weights) {
    const float limit = std::sqrt(6.0F / fans);
    EXPECT_LE(LargestOf(model, name), limit) << name;
    EXPECT_GT(LargestOf(model, name), 0.95F * limit) << name;
  }
  for (const char* norm : {"group_norm1", "layer_norm1"}) {
    EXPECT_THAT(model.Find(std::string(norm) + ".weight")->values, testing::Each(1.0F));
    EXPECT_THAT(model.Find(std::string(norm) + ".bias")->values, testing::Each(0.0F));
  }
  EXPECT_EQ(model.Find("conv1.bias"), nullptr);
  EXPECT_EQ(model.Find("dense1.bias"), nullptr);
  EXPECT_THAT(model.Find("excite1.bias")->values, testing::Each(0.0F));
  EXPECT_TRUE(model.Validate().ok()) << model.Validate();
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
