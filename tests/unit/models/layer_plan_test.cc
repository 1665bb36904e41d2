// What a network's plan says of each layer: defaults, shapes, margins, tensors, cost, receptive
// field.
#include "models/network/layer_plan.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/architecture.h"
#include "models/network/presets.h"
#include "models/network/trained_model.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Architecture Network(ImageShape input, const std::string& layers) {
  Architecture network;
  network.input = input;
  network.classes = 3;
  network.dropout = 0.25;
  network.network = NetworkOf(layers);
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
  return network;
}

// The plan's layers but for the last, which every network has.
std::vector<LayerPlan> LayersOf(ImageShape input, const std::string& layers) {
  std::vector<LayerPlan> plans = PlanOf(Network(input, layers)).layers;
  EXPECT_EQ(plans.back().name, kOutputLayer);
  plans.pop_back();
  return plans;
}

LayerPlan LayerOf(ImageShape input, const std::string& layer) {
  return LayersOf(input, absl::StrCat("layers {", layer, "}")).at(0);
}

std::vector<std::string> TensorNamesOf(const Architecture& network) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : TensorSpecsOf(network)) names.push_back(spec.name);
  return names;
}

std::string MarginsOf(const Window& window) {
  return absl::StrCat(window.top, " ", window.left, " ", window.bottom, " ", window.right);
}

TEST(LayerPlanTest, EveryDefaultIsFilledIn) {
  const auto layer = [](const std::string& text) {
    return LayerOf({4, 12, 10}, text).layer.ShortDebugString();
  };
  EXPECT_EQ(layer("convolution { filters: 2 }"),
            "convolution { filters: 2 kernel: 3 kernel_width: 3 stride: 1 padding: PADDING_SAME "
            "dilation: 1 groups: 1 bias: true }");
  EXPECT_EQ(layer("convolution { filters: 2 kernel: 5 bias: false padding: PADDING_VALID }"),
            "convolution { filters: 2 kernel: 5 kernel_width: 5 stride: 1 padding: PADDING_VALID "
            "dilation: 1 groups: 1 bias: false }");
  EXPECT_EQ(layer("batch_norm {}"), "batch_norm { epsilon: 0.001 }");
  EXPECT_EQ(layer("batch_norm { momentum: 0.5 }"), "batch_norm { momentum: 0.5 epsilon: 0.001 }");
  EXPECT_EQ(layer("group_norm { groups: 2 }"), "group_norm { groups: 2 epsilon: 1e-05 }");
  EXPECT_EQ(layer("layer_norm {}"), "layer_norm { epsilon: 1e-06 }");
  EXPECT_EQ(layer("max_pooling {}"),
            "max_pooling { size: 2 size_width: 2 padding: PADDING_VALID }");
  EXPECT_EQ(layer("average_pooling { size: 3 }"),
            "average_pooling { size: 3 size_width: 3 padding: PADDING_VALID }");
  EXPECT_EQ(layer("dropout {}"), "dropout { rate: 0.25 }");
  EXPECT_EQ(layer("dropout { rate: 0 }"), "dropout { rate: 0 }");
  EXPECT_EQ(layer("spatial_dropout {}"), "spatial_dropout { rate: 0.25 }");
  EXPECT_EQ(layer("dense { units: 2 }"), "dense { units: 2 bias: true }");
  EXPECT_EQ(layer("spatial_attention {}"), "spatial_attention { kernel: 7 }");
  EXPECT_EQ(layer("residual { layers { dropout {} } }"), "residual { }");
}

TEST(LayerPlanTest, TheNetworkItselfStaysAsItWasGiven) {
  const Architecture network = Network({4, 12, 10}, "layers { convolution { filters: 2 } }");
  PlanOf(network);
  EXPECT_EQ(network.network.ShortDebugString(), "layers { convolution { filters: 2 } }");
}

struct Slide {
  std::string layer;
  ImageShape output;
  // Top, left, bottom, right.
  std::string margins;
};

// Of images of 4×13×10.
TEST(LayerPlanTest, WindowsHaveTheMarginsAndOutputsOfTheirPadding) {
  const Slide slides[] = {
      {"convolution { filters: 7 }", {7, 13, 10}, "1 1 1 1"},
      {"convolution { filters: 7 kernel: 1 }", {7, 13, 10}, "0 0 0 0"},
      {"convolution { filters: 7 kernel: 4 }", {7, 13, 10}, "1 1 2 2"},
      {"convolution { filters: 7 kernel: 2 kernel_width: 5 }", {7, 13, 10}, "0 2 1 2"},
      {"convolution { filters: 7 kernel: 11 stride: 3 }", {7, 5, 4}, "5 5 5 5"},
      {"convolution { filters: 7 stride: 2 }", {7, 7, 5}, "1 1 1 1"},
      {"convolution { filters: 7 stride: 8 }", {7, 2, 2}, "1 1 1 1"},
      {"convolution { filters: 7 dilation: 4 }", {7, 13, 10}, "4 4 4 4"},
      {"convolution { filters: 7 kernel: 4 kernel_width: 2 dilation: 3 stride: 2 }",
       {7, 7, 5},
       "4 1 5 2"},
      {"convolution { filters: 7 padding: PADDING_VALID }", {7, 11, 8}, "0 0 0 0"},
      {"convolution { filters: 7 kernel: 5 kernel_width: 1 stride: 2 padding: PADDING_VALID }",
       {7, 5, 5},
       "0 0 0 0"},
      {"convolution { filters: 7 dilation: 4 padding: PADDING_VALID }", {7, 5, 2}, "0 0 0 0"},
      {"max_pooling {}", {4, 6, 5}, "0 0 0 0"},
      {"max_pooling { size: 3 size_width: 2 }", {4, 4, 5}, "0 0 0 0"},
      {"max_pooling { size: 3 stride: 1 }", {4, 11, 8}, "0 0 0 0"},
      {"max_pooling { size: 1 stride: 4 }", {4, 4, 3}, "0 0 0 0"},
      {"max_pooling { size: 13 size_width: 10 }", {4, 1, 1}, "0 0 0 0"},
      {"average_pooling { size: 3 stride: 2 padding: PADDING_SAME }", {4, 7, 5}, "1 1 1 1"},
      {"average_pooling { size: 3 size_width: 5 padding: PADDING_SAME }", {4, 5, 2}, "1 2 1 2"}};
  for (const Slide& slide : slides) {
    const LayerPlan plan = LayerOf({4, 13, 10}, slide.layer);
    EXPECT_EQ(plan.input, (ImageShape{4, 13, 10})) << slide.layer;
    EXPECT_EQ(plan.output, slide.output) << slide.layer;
    EXPECT_EQ(MarginsOf(plan.window), slide.margins) << slide.layer;
    EXPECT_TRUE(plan.gives_image) << slide.layer;
  }
}

TEST(LayerPlanTest, MarginsAreSymmetricOrNot) {
  EXPECT_TRUE(LayerOf({4, 13, 10}, "convolution { filters: 7 }").window.symmetric());
  EXPECT_FALSE(LayerOf({4, 13, 10}, "convolution { filters: 7 kernel: 4 }").window.symmetric());
  EXPECT_TRUE(
      LayerOf({4, 13, 10}, "convolution { filters: 7 kernel: 2 dilation: 2 }").window.symmetric());
}

// Every kind, two residual blocks in each other and one in a row after them.
constexpr char kEverything[] = R"(
  layers { convolution { filters: 6 stride: 2 bias: false } }
  layers { batch_norm {} }
  layers { residual {
    layers { convolution { filters: 8 groups: 2 } }
    layers { residual {
      layers { max_pooling { size: 3 stride: 2 padding: PADDING_SAME } }
      layers { group_norm { groups: 4 } }
    } }
    layers { squeeze_excitation { reduction: 3 } }
  } }
  layers { spatial_dropout {} }
  layers { residual { layers { layer_norm {} } layers { spatial_attention { kernel: 5 } } } }
  layers { average_pooling {} }
  layers { flatten {} }
  layers { dense { units: 5 bias: false } }
  layers { batch_norm { momentum: 0.5 } }
  layers { layer_norm {} }
  layers { activation: ACTIVATION_SILU }
  layers { dropout { rate: 0.75 } }
  layers { dense { units: 4 } })";

TEST(LayerPlanTest, LayersAreNumberedByKindAndSaidByPlace) {
  std::vector<std::string> titles;
  const NetworkPlan plan = PlanOf(Network({2, 17, 11}, kEverything));
  ForEachLayer(plan.layers, [&titles](const LayerPlan& layer) { titles.push_back(Title(layer)); });
  EXPECT_THAT(
      titles,
      ElementsAre("layer 1 (conv1)", "layer 2 (norm1)", "layer 3 (residual1)", "layer 3.1 (conv2)",
                  "layer 3.2 (residual2)", "layer 3.2.1 (pool1)", "layer 3.2.2 (group_norm1)",
                  "layer 3.3 (squeeze1)", "layer 4 (dropout1)", "layer 5 (residual3)",
                  "layer 5.1 (layer_norm1)", "layer 5.2 (attention1)", "layer 6 (pool2)",
                  "layer 7 (flatten1)", "layer 8 (dense1)", "layer 9 (norm2)",
                  "layer 10 (layer_norm2)", "layer 11 (activation1)", "layer 12 (dropout2)",
                  "layer 13 (dense2)", "the last layer (output)"));
}

TEST(LayerPlanTest, ShapesFollowEachOther) {
  std::vector<std::string> outputs;
  const NetworkPlan plan = PlanOf(Network({2, 17, 11}, kEverything));
  EXPECT_EQ(plan.input, (ImageShape{2, 17, 11}));
  ForEachLayer(plan.layers, [&outputs](const LayerPlan& layer) {
    const ImageShape& shape = layer.output;
    outputs.push_back(layer.gives_image
                          ? absl::StrCat(shape.channels, "x", shape.height, "x", shape.width)
                          : absl::StrCat(shape.channels));
    if (!layer.gives_image) {
      EXPECT_EQ(shape.height * shape.width, 1);
    }
  });
  EXPECT_THAT(outputs, ElementsAre("6x9x6", "6x9x6", "8x5x3", "8x9x6", "8x5x3", "8x5x3", "8x5x3",
                                   "8x5x3", "8x5x3", "8x5x3", "8x5x3", "8x5x3", "8x2x1", "16", "5",
                                   "5", "5", "5", "5", "4", "3"));
  // What a layer gets is what the one before gives.
  ImageShape before = plan.input;
  for (const LayerPlan& layer : plan.layers) {
    EXPECT_EQ(layer.input, before) << layer.name;
    before = layer.output;
    if (layer.body.empty()) continue;
    EXPECT_EQ(layer.body.front().input, layer.input) << layer.name;
    EXPECT_EQ(layer.body.back().output, layer.output) << layer.name;
  }
}

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
};

TEST(LayerPlanTest, TensorsAreInTheOrderOfTheLayers) {
  const Tensor expected[] = {{"conv1.weight", {6, 2, 3, 3}},
                             {"norm1.weight", {6}},
                             {"norm1.bias", {6}},
                             {"norm1.running_mean", {6}},
                             {"norm1.running_var", {6}},
                             {"projection1.weight", {8, 6, 1, 1}},
                             {"conv2.weight", {8, 3, 3, 3}},
                             {"conv2.bias", {8}},
                             {"projection2.weight", {8, 8, 1, 1}},
                             {"group_norm1.weight", {8}},
                             {"group_norm1.bias", {8}},
                             {"squeeze1.weight", {2, 8}},
                             {"squeeze1.bias", {2}},
                             {"excite1.weight", {8, 2}},
                             {"excite1.bias", {8}},
                             {"layer_norm1.weight", {8}},
                             {"layer_norm1.bias", {8}},
                             {"attention1.weight", {1, 2, 5, 5}},
                             {"dense1.weight", {5, 16}},
                             {"norm2.weight", {5}},
                             {"norm2.bias", {5}},
                             {"norm2.running_mean", {5}},
                             {"norm2.running_var", {5}},
                             {"layer_norm2.weight", {5}},
                             {"layer_norm2.bias", {5}},
                             {"dense2.weight", {4, 5}},
                             {"dense2.bias", {4}},
                             {"output.weight", {3, 4}},
                             {"output.bias", {3}}};
  const Architecture network = Network({2, 17, 11}, kEverything);
  const std::vector<TensorSpec> specs = TensorSpecsOf(network);
  ASSERT_EQ(specs.size(), std::size(expected));
  int64_t all = 0;
  int64_t trainable = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(specs[i].name, expected[i].name);
    EXPECT_EQ(specs[i].shape, expected[i].shape) << specs[i].name;
    const bool statistic = specs[i].name.find("running_") != std::string::npos;
    EXPECT_EQ(specs[i].trainable, !statistic) << specs[i].name;
    all += specs[i].size();
    if (!statistic) trainable += specs[i].size();
  }
  EXPECT_EQ(network.ParameterCount(), all);
  EXPECT_EQ(network.TrainableParameterCount(), trainable);
  EXPECT_EQ(all - trainable, 2 * (6 + 5));
}

TEST(LayerPlanTest, OnlyAProjectionsBlockHasTensorsOfItsOwn) {
  const std::vector<LayerPlan> layers = LayersOf({2, 17, 11}, kEverything);
  EXPECT_TRUE(layers[2].projects());
  EXPECT_TRUE(layers[2].body[1].projects());
  EXPECT_FALSE(layers[4].projects());
  EXPECT_FALSE(layers[0].projects());
  EXPECT_THAT(layers[4].tensors, IsEmpty());
  EXPECT_EQ(layers[2].window.row_stride, 2);
  EXPECT_EQ(layers[2].window.column_stride, 2);
  EXPECT_EQ(layers[2].window.height, 1);
  // Channels alone differ: no stride.
  const LayerPlan wider =
      LayerOf({2, 17, 11}, "residual { layers { convolution { filters: 3 } } }");
  EXPECT_TRUE(wider.projects());
  EXPECT_EQ(wider.window.row_stride, 1);
}

TEST(LayerPlanTest, RunningStatisticsKnowTheirLayersMomentum) {
  for (const TensorSpec& spec : TensorSpecsOf(Network({2, 17, 11}, kEverything))) {
    const bool own = spec.name == "norm2.running_mean" || spec.name == "norm2.running_var";
    EXPECT_EQ(spec.momentum, own ? std::optional<double>(0.5) : std::nullopt) << spec.name;
  }
}

TEST(LayerPlanTest, ConvolutionsKnowTheirGroups) {
  for (const TensorSpec& spec : TensorSpecsOf(Network({2, 17, 11}, kEverything))) {
    EXPECT_EQ(spec.groups, spec.name == "conv2.weight" ? 2 : 1) << spec.name;
  }
}

TEST(LayerPlanTest, MultiplyAddsAreCountedByHand) {
  const auto count = [](const std::string& layer) {
    return LayerOf({4, 13, 10}, layer).multiply_adds;
  };
  EXPECT_EQ(count("convolution { filters: 7 }"), 7 * 130 * 4 * 9);
  // Depthwise.
  EXPECT_EQ(count("convolution { filters: 8 groups: 4 }"), 8 * 130 * 9);
  EXPECT_EQ(count("convolution { filters: 8 groups: 2 kernel: 5 kernel_width: 2 stride: 3 }"),
            8 * 5 * 4 * 2 * 10);
  EXPECT_EQ(count("convolution { filters: 7 dilation: 4 padding: PADDING_VALID bias: false }"),
            7 * 5 * 2 * 4 * 9);
  EXPECT_EQ(count("dense { units: 6 }"), 6 * 520);
  EXPECT_EQ(count("squeeze_excitation { reduction: 2 }"), 4 * 2 + 2 * 4);
  EXPECT_EQ(count("squeeze_excitation { reduction: 3 }"), 4 * 1 + 1 * 4);
  EXPECT_EQ(count("spatial_attention {}"), 130 * 2 * 49);
  EXPECT_EQ(count("spatial_attention { kernel: 1 }"), 130 * 2);
  EXPECT_EQ(count("residual { layers { convolution { filters: 4 } } }"), 4 * 130 * 4 * 9);
  EXPECT_EQ(count("residual { layers { convolution { filters: 6 stride: 2 } } }"),
            6 * 7 * 5 * 4 * 9 + 6 * 7 * 5 * 4);
  EXPECT_EQ(
      count("residual { layers { max_pooling { size: 3 stride: 2 padding: PADDING_SAME } } }"),
      4 * 7 * 5 * 4);
  for (const char* layer :
       {"batch_norm {}", "group_norm { groups: 2 }", "layer_norm {}", "activation: ACTIVATION_GELU",
        "max_pooling {}", "average_pooling {}", "global_pooling: GLOBAL_POOLING_MAX", "dropout {}",
        "spatial_dropout {}", "flatten {}"}) {
    EXPECT_EQ(count(layer), 0) << layer;
  }
  EXPECT_EQ(Network({4, 13, 10}, "").MultiplyAdds(), 3 * 520);
}

TEST(LayerPlanTest, MultiplyAddsOfANetworkCountNestedOnesOnce) {
  const int64_t conv1 = 6 * 54 * 2 * 9;
  const int64_t conv2 = 8 * 54 * 3 * 9;
  const int64_t inner = 8 * 15 * 8;
  const int64_t squeeze = 2 * 8 * 2;
  const int64_t outer = conv2 + inner + squeeze + 8 * 15 * 6;
  const int64_t attention = 15 * 2 * 25;
  const Architecture network = Network({2, 17, 11}, kEverything);
  const std::vector<LayerPlan> layers = PlanOf(network).layers;
  EXPECT_EQ(layers[2].multiply_adds, outer);
  EXPECT_EQ(layers[2].body[1].multiply_adds, inner);
  EXPECT_EQ(layers[4].multiply_adds, attention);
  EXPECT_EQ(network.MultiplyAdds(), conv1 + outer + attention + 5 * 16 + 4 * 5 + 3 * 4);
}

std::string FieldOf(const LayerPlan& layer) {
  return absl::StrCat(layer.receptive_field.height, "x", layer.receptive_field.width);
}

std::vector<std::string> FieldsOf(const std::string& layers) {
  std::vector<std::string> fields;
  for (const LayerPlan& layer : LayersOf({4, 40, 40}, layers)) fields.push_back(FieldOf(layer));
  return fields;
}

TEST(LayerPlanTest, ReceptiveFieldsGrowByTheStepSoFar) {
  EXPECT_THAT(FieldsOf(R"(
                layers { convolution { filters: 4 kernel: 5 kernel_width: 3 stride: 2 } }
                layers { batch_norm {} }
                layers { max_pooling { size: 2 size_width: 3 } }
                layers { layer_norm {} }
                layers { convolution { filters: 4 kernel: 3 dilation: 2 } }
                layers { spatial_attention { kernel: 3 } }
                layers { average_pooling { size: 1 stride: 2 } }
                layers { convolution { filters: 4 kernel: 2 } })"),
              ElementsAre("5x3", "5x3", "7x7", "7x7", "23x31", "31x43", "31x43", "39x55"));
}

TEST(LayerPlanTest, ReceptiveFieldsOfAResidualBlockAreThoseOfItsLayers) {
  const std::vector<LayerPlan> layers = LayersOf({4, 40, 40}, R"(
      layers { residual {
        layers { convolution { filters: 4 stride: 2 } }
        layers { convolution { filters: 4 } }
      } }
      layers { convolution { filters: 4 } })");
  EXPECT_EQ(FieldOf(layers[0].body[0]), "3x3");
  EXPECT_EQ(FieldOf(layers[0].body[1]), "7x7");
  EXPECT_EQ(FieldOf(layers[0]), "7x7");
  EXPECT_EQ(FieldOf(layers[1]), "11x11");
}

TEST(LayerPlanTest, WhatLooksAtTheWholeImageHasItAsItsReceptiveField) {
  for (const char* layer :
       {"squeeze_excitation { reduction: 2 }", "group_norm { groups: 2 }", "dense { units: 3 }",
        "flatten {}", "global_pooling: GLOBAL_POOLING_AVERAGE"}) {
    EXPECT_EQ(FieldOf(LayerOf({4, 40, 41}, layer)), "40x41") << layer;
  }
}

TEST(LayerPlanTest, TheStudysLastConvolutionSeesEighteenPixels) {
  std::string field;
  ForEachLayer(PlanOf(*Architecture::FromPreset("cnn-3", {1, 28, 28}, 10, 0)).layers,
               [&field](const LayerPlan& layer) {
                 if (layer.name == "conv3") field = FieldOf(layer);
               });
  EXPECT_EQ(field, "18x18");
}

TEST(LayerPlanTest, ANetworkWithoutLayersIsTheLastOne) {
  const NetworkPlan plan = PlanOf(Network({2, 3, 4}, ""));
  ASSERT_THAT(plan.layers, SizeIs(1));
  EXPECT_EQ(plan.layers[0].name, kOutputLayer);
  EXPECT_EQ(plan.layers[0].input, (ImageShape{2, 3, 4}));
  EXPECT_EQ(plan.layers[0].output, (ImageShape{3, 1, 1}));
  EXPECT_FALSE(plan.layers[0].gives_image);
}

// Archives and checkpoints hold tensors by these names and in this order.
std::vector<std::string> BlockTensors(int number, bool squeeze) {
  std::vector<std::string> names;
  for (const char* name : {"conv@.weight", "conv@.bias", "norm@.weight", "norm@.bias",
                           "norm@.running_mean", "norm@.running_var", "squeeze@.weight",
                           "squeeze@.bias", "excite@.weight", "excite@.bias"}) {
    const std::string text = name;
    const size_t at = text.find('@');
    names.push_back(absl::StrCat(text.substr(0, at), number, text.substr(at + 1)));
  }
  if (!squeeze) names.resize(6);
  return names;
}

std::vector<std::string> TensorsOfBlocks(int blocks, bool squeeze, int dense) {
  std::vector<std::string> names;
  for (int i = 1; i <= blocks; ++i) {
    const std::vector<std::string> block = BlockTensors(i, squeeze);
    names.insert(names.end(), block.begin(), block.end());
  }
  for (int i = 1; i <= dense; ++i) {
    names.push_back(absl::StrCat("dense", i, ".weight"));
    names.push_back(absl::StrCat("dense", i, ".bias"));
  }
  names.insert(names.end(), {"output.weight", "output.bias"});
  return names;
}

TEST(LayerPlanTest, PresetsHaveTheTensorsTheyAlwaysHad) {
  const auto names = [](const char* preset) {
    return TensorNamesOf(*Architecture::FromPreset(preset, {1, 28, 28}, 10, 0.3));
  };
  EXPECT_THAT(names("dense"), ElementsAre("dense1.weight", "dense1.bias", "dense2.weight",
                                          "dense2.bias", "output.weight", "output.bias"));
  EXPECT_THAT(names("cnn-1"),
              ElementsAre("conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias",
                          "norm1.running_mean", "norm1.running_var", "dense1.weight", "dense1.bias",
                          "output.weight", "output.bias"));
  EXPECT_THAT(names("cnn-2"), ElementsAreArray(TensorsOfBlocks(2, false, 1)));
  EXPECT_THAT(names("cnn-3"), ElementsAreArray(TensorsOfBlocks(3, false, 1)));
  EXPECT_THAT(names("cnn-3-pooled"), ElementsAreArray(TensorsOfBlocks(3, false, 2)));
  EXPECT_THAT(names("cnn-3-attention"), ElementsAreArray(TensorsOfBlocks(3, true, 1)));
  EXPECT_THAT(names("resnet"), ElementsAreArray(TensorsOfBlocks(11, false, 0)));
}

TEST(LayerPlanTest, SaysWhatALayerComputesInAFewWords) {
  Architecture network;
  network.input = {4, 12, 10};
  network.classes = 3;
  network.dropout = 0.25;
  network.network = NetworkOf(R"(
    layers { convolution { filters: 4 kernel: 3 kernel_width: 2 stride: 2 groups: 4 bias: false } }
    layers { convolution { filters: 8 dilation: 2 groups: 2 padding: PADDING_VALID } }
    layers { max_pooling { size: 1 size_width: 1 } }
    layers { average_pooling { size: 2 size_width: 1 stride: 1 } }
    layers { activation: ACTIVATION_LEAKY_RELU }
    layers { residual { layers { convolution { filters: 9 } } } }
    layers { dropout {} }
    layers { global_pooling: GLOBAL_POOLING_MAX })");
  std::vector<std::string> phrases;
  for (const LayerPlan& layer : PlanOf(network).layers) phrases.push_back(Phrase(layer));
  EXPECT_THAT(phrases,
              ElementsAre("4 filters of 3×2, stride 2, depthwise, no bias",
                          "8 filters of 3×3, dilation 2, valid, 2 groups", "maximum of 1×1",
                          "mean of 2×1, stride 1", "leaky relu", "sum with a projection",
                          "drops 0.25", "maximum of each channel", "3 units"));
}

}  // namespace
}  // namespace atelier::models
