// What Architecture::Validate says of networks that cannot be.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// For images of 4×12×10.
Architecture Of(v1::Network network) {
  Architecture architecture;
  architecture.network = std::move(network);
  architecture.input = {4, 12, 10};
  architecture.classes = 3;
  return architecture;
}

std::vector<std::string> ProblemsOf(const std::string& layers) {
  return PlanOf(Of(NetworkOf(layers))).problems;
}

struct SizeMistake {
  std::string name;
  void (*make)(Architecture&);
  std::string message;
};

class SizeMistakeTest : public testing::TestWithParam<SizeMistake> {};

TEST_P(SizeMistakeTest, IsNamed) {
  Architecture network = *Architecture::FromPreset("cnn-3", {1, 28, 28}, 10, 0.3);
  GetParam().make(network);
  const absl::Status status = network.Validate();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, SizeMistakeTest,
    testing::Values(
        SizeMistake{"OneClass", [](Architecture& a) { a.classes = 1; }, "classes is 1"},
        SizeMistake{"TooManyClasses", [](Architecture& a) { a.classes = 1001; }, "2 to 1000"},
        SizeMistake{"NoChannels", [](Architecture& a) { a.input.channels = 0; }, "channels is 0"},
        SizeMistake{"ManyChannels", [](Architecture& a) { a.input.channels = 1025; }, "1 to 1024"},
        SizeMistake{"NoHeight", [](Architecture& a) { a.input.height = 0; }, "height is 0"},
        SizeMistake{"HugeImage", [](Architecture& a) { a.input.width = 1 << 20; },
                    "width is 1048576; it must be 1 to 4096"},
        SizeMistake{"DropoutOfOne", [](Architecture& a) { a.dropout = 1; }, "dropout is 1"},
        SizeMistake{"DropoutNan",
                    [](Architecture& a) { a.dropout = std::numeric_limits<double>::quiet_NaN(); },
                    "dropout is nan"},
        SizeMistake{"NegativeDropout", [](Architecture& a) { a.dropout = -0.1; },
                    "dropout is -0.1"},
        SizeMistake{"CapitalsInTheName", [](Architecture& a) { a.network.set_name("Net"); },
                    "a-z, 0-9 and '-'"},
        SizeMistake{"LongName", [](Architecture& a) { a.network.set_name(std::string(64, 'a')); },
                    "at most 63 characters"}),
    [](const auto& test) { return test.param.name; });

TEST(NetworkMistakesTest, ALongNameOfAllThatMayBeInItIsNone) {
  Architecture network = Of({});
  network.network.set_name("az09-" + std::string(58, 'b'));
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
}

// One layer of a kind, a field of which may have some values.
struct Range {
  const char* kind;
  // The layer's text but for the value.
  const char* before;
  const char* after;
  std::vector<const char*> right;
  std::vector<const char*> wrong;
  // Which values are right, in words.
  const char* words;
};

const std::vector<Range>& Ranges() {
  static const auto* ranges = new std::vector<Range>{
      {"conv1",
       "convolution { filters:",
       "}",
       {"1", "65536"},
       {"0", "-1", "65537"},
       "filters is @; it must be 1 to 65536"},
      {"conv1",
       "convolution { filters: 4 kernel:",
       "}",
       {"1", "2", "11"},
       {"0", "-3", "12"},
       "kernel is @; it must be 1 to 11"},
      {"conv1",
       "convolution { filters: 4 kernel_width:",
       "}",
       {"1", "11"},
       {"0", "-3", "12"},
       "kernel_width is @; it must be 1 to 11"},
      {"conv1",
       "convolution { filters: 4 stride:",
       "}",
       {"1", "8"},
       {"0", "-1", "9"},
       "stride is @; it must be 1 to 8"},
      {"conv1",
       "convolution { filters: 4 dilation:",
       "}",
       {"1", "8"},
       {"0", "-1", "9"},
       "dilation is @; it must be 1 to 8"},
      {"conv1",
       "convolution { filters: 4 groups:",
       "}",
       {"1", "2", "4"},
       {"0", "-1", "65537"},
       "groups is @; it must be 1 to 65536"},
      {"conv1",
       "convolution { filters: 4 groups:",
       "}",
       {},
       {"3", "8"},
       "groups is @; it must divide the 4 input channels and the 4 filters"},
      {"conv1",
       "convolution { filters: 6 groups:",
       "}",
       {"2"},
       {"4"},
       "groups is @; it must divide the 4 input channels and the 6 filters"},
      {"conv1",
       "convolution { filters: 4 padding:",
       "}",
       {"0", "1", "2"},
       {"3", "99", "-1"},
       "names no padding that is known here"},
      {"norm1",
       "batch_norm { epsilon:",
       "}",
       {"1e-30", "0.5", "1"},
       {"0", "-0.5", "1.5", "nan", "inf"},
       "epsilon is @; it must be above 0 and at most 1"},
      {"norm1",
       "batch_norm { momentum:",
       "}",
       {"1e-30", "1"},
       {"0", "-0.5", "1.5", "nan"},
       "momentum is @; it must be above 0 and at most 1"},
      {"group_norm1",
       "group_norm { groups:",
       "}",
       {"1", "2", "4"},
       {"0", "-1", "65537"},
       "groups is @; it must be 1 to 65536"},
      {"group_norm1",
       "group_norm { groups:",
       "}",
       {},
       {"3", "8"},
       "groups is @; it must divide the 4 channels"},
      {"group_norm1",
       "group_norm { groups: 2 epsilon:",
       "}",
       {"1e-30", "1"},
       {"0", "-0.5", "1.5", "nan"},
       "epsilon is @; it must be above 0 and at most 1"},
      {"layer_norm1",
       "layer_norm { epsilon:",
       "}",
       {"1e-30", "1"},
       {"0", "-0.5", "1.5", "nan"},
       "epsilon is @; it must be above 0 and at most 1"},
      {"activation1",
       "activation:",
       "",
       {"1", "2", "3", "4", "5", "6", "7", "8"},
       {"0", "9", "-1", "2000000000"},
       "names no activation that is known here"},
      {"pool1",
       "max_pooling { size:",
       "}",
       {"1", "10"},
       {"0", "-2", "4097"},
       "size is @; it must be 1 to 4096"},
      {"pool1",
       "max_pooling { size_width:",
       "}",
       {"1", "10"},
       {"0", "-2", "4097"},
       "size_width is @; it must be 1 to 4096"},
      {"pool1",
       "max_pooling { stride:",
       "}",
       {"1", "4096"},
       {"0", "-2", "4097"},
       "stride is @; it must be 1 to 4096"},
      {"pool1",
       "max_pooling { size: 3 padding:",
       "}",
       {"0", "1", "2"},
       {"3", "99"},
       "names no padding that is known here"},
      {"pool1",
       "max_pooling { padding: PADDING_SAME size_width: 3 size:",
       "}",
       {"1", "3"},
       {"4"},
       "its window of @x3 has an even size; PADDING_SAME needs odd ones"},
      {"pool1",
       "average_pooling { size:",
       "}",
       {"1", "10"},
       {"0", "-2", "4097"},
       "size is @; it must be 1 to 4096"},
      {"pool1",
       "average_pooling { size_width:",
       "}",
       {"1", "10"},
       {"0", "-2", "4097"},
       "size_width is @; it must be 1 to 4096"},
      {"pool1",
       "average_pooling { stride:",
       "}",
       {"1", "4096"},
       {"0", "-2", "4097"},
       "stride is @; it must be 1 to 4096"},
      {"pool1",
       "average_pooling { size: 3 padding:",
       "}",
       {"0", "1", "2"},
       {"3", "99"},
       "names no padding that is known here"},
      {"pool1",
       "average_pooling { padding: PADDING_SAME size: 5 size_width:",
       "}",
       {"1", "3"},
       {"2"},
       "its window of 5x@ has an even size; PADDING_SAME needs odd ones"},
      {"global_pool1",
       "global_pooling:",
       "",
       {"1", "2"},
       {"0", "3", "-1"},
       "names no global pooling that is known here"},
      {"dropout1",
       "dropout { rate:",
       "}",
       {"0", "0.999"},
       {"1", "-0.1", "nan"},
       "rate is @; it must be at least 0 and below 1"},
      {"dropout1",
       "spatial_dropout { rate:",
       "}",
       {"0", "0.999"},
       {"1", "-0.1", "nan"},
       "rate is @; it must be at least 0 and below 1"},
      {"dense1",
       "dense { units:",
       "}",
       {"1", "65536"},
       {"0", "-1", "65537"},
       "units is @; it must be 1 to 65536"},
      {"squeeze1",
       "squeeze_excitation { reduction:",
       "}",
       {"1", "4"},
       {"0", "-1", "65537"},
       "reduction is @; it must be 1 to 65536"},
      {"squeeze1",
       "squeeze_excitation { reduction:",
       "}",
       {"3"},
       {"5"},
       "reduction is @; it must be 1 to 4"},
      {"attention1",
       "spatial_attention { kernel:",
       "}",
       {"1", "3", "11"},
       {"0", "-1", "12"},
       "kernel is @; it must be 1 to 11"},
      {"attention1",
       "spatial_attention { kernel:",
       "}",
       {},
       {"2", "10"},
       "kernel is @; it must be odd"},
  };
  return *ranges;
}

TEST(NetworkMistakesTest, EveryRangeIsChecked) {
  for (const Range& range : Ranges()) {
    const auto problems = [&range](const std::string& value) {
      return ProblemsOf(absl::StrCat("layers { ", range.before, value, range.after, "}"));
    };
    for (const char* value : range.right) {
      EXPECT_THAT(problems(value), IsEmpty()) << range.before << value;
    }
    for (const char* value : range.wrong) {
      std::string words = range.words;
      if (const size_t at = words.find('@'); at != std::string::npos) words.replace(at, 1, value);
      EXPECT_THAT(problems(value), ElementsAre(absl::StrCat("layer 1 (", range.kind, "): ", words)))
          << range.before << value;
    }
  }
}

TEST(NetworkMistakesTest, WhatIsRequiredIsNotForgotten) {
  EXPECT_THAT(ProblemsOf("layers { convolution {} }"),
              ElementsAre("layer 1 (conv1): filters is 0; it must be 1 to 65536"));
  EXPECT_THAT(ProblemsOf("layers { dense {} }"),
              ElementsAre("layer 1 (dense1): units is 0; it must be 1 to 65536"));
  EXPECT_THAT(ProblemsOf("layers { group_norm {} }"),
              ElementsAre("layer 1 (group_norm1): groups is 0; it must be 1 to 65536"));
  EXPECT_THAT(ProblemsOf("layers { squeeze_excitation {} }"),
              ElementsAre("layer 1 (squeeze1): reduction is 0; it must be 1 to 65536"));
  EXPECT_THAT(ProblemsOf("layers { residual {} }"),
              ElementsAre("layer 1 (residual1): has no layers; it must have at least one"));
  EXPECT_THAT(ProblemsOf("layers {}"),
              ElementsAre("layer 1 (unknown1): is of no kind that is known here"));
}

TEST(NetworkMistakesTest, AKindOfALaterVersionIsUnknown) {
  Architecture network = Of({});
  v1::Layer& layer = *network.network.add_layers();
  layer.GetReflection()->MutableUnknownFields(&layer)->AddLengthDelimited(99, "");
  Architecture again = Of({});
  ASSERT_TRUE(again.network.ParseFromString(network.network.SerializeAsString()));
  EXPECT_THAT(PlanOf(again).problems,
              ElementsAre("layer 1 (unknown1): is of no kind that is known here"));
}

TEST(NetworkMistakesTest, AMistakeThatLeavesTheShapesKnownHidesNothing) {
  EXPECT_THAT(ProblemsOf(R"(
                layers { batch_norm { epsilon: 0 momentum: 2 } }
                layers { group_norm { groups: 3 epsilon: -1 } }
                layers { activation: ACTIVATION_UNSPECIFIED }
                layers { dropout { rate: 1 } }
                layers { spatial_attention { kernel: 6 } }
                layers { squeeze_excitation { reduction: 9 } }
                layers { convolution { filters: 5 groups: 2 } })"),
              ElementsAre("layer 1 (norm1): epsilon is 0; it must be above 0 and at most 1",
                          "layer 1 (norm1): momentum is 2; it must be above 0 and at most 1",
                          "layer 2 (group_norm1): epsilon is -1; it must be above 0 and at most 1",
                          "layer 2 (group_norm1): groups is 3; it must divide the 4 channels",
                          "layer 3 (activation1): names no activation that is known here",
                          "layer 4 (dropout1): rate is 1; it must be at least 0 and below 1",
                          "layer 5 (attention1): kernel is 6; it must be odd",
                          "layer 6 (squeeze1): reduction is 9; it must be 1 to 4",
                          "layer 7 (conv1): groups is 2; it must divide the 4 input channels and "
                          "the 5 filters"));
}

// After a mistake that leaves the shapes unknown, ranges are still checked, and all mistakes of one
// layer are named.
TEST(NetworkMistakesTest, AreAllNamedAtOnce) {
  EXPECT_THAT(
      ProblemsOf(R"(
        layers { convolution { filters: 0 kernel: 12 kernel_width: 13 stride: 9 dilation: 10
                               groups: -1 } }
        layers { convolution { filters: 70000 } }
        layers { max_pooling { size: 5000 size_width: 0 stride: 0 } }
        layers { residual {
          layers { average_pooling { size: 2 padding: PADDING_SAME } }
          layers { residual { layers { layer_norm { epsilon: 2 } } layers {} } }
        } }
        layers { dense { units: -1 } })"),
      ElementsAre("layer 1 (conv1): filters is 0; it must be 1 to 65536",
                  "layer 1 (conv1): kernel is 12; it must be 1 to 11",
                  "layer 1 (conv1): kernel_width is 13; it must be 1 to 11",
                  "layer 1 (conv1): stride is 9; it must be 1 to 8",
                  "layer 1 (conv1): dilation is 10; it must be 1 to 8",
                  "layer 1 (conv1): groups is -1; it must be 1 to 65536",
                  "layer 2 (conv2): filters is 70000; it must be 1 to 65536",
                  "layer 3 (pool1): size is 5000; it must be 1 to 4096",
                  "layer 3 (pool1): size_width is 0; it must be 1 to 4096",
                  "layer 3 (pool1): stride is 0; it must be 1 to 4096",
                  "layer 4.1 (pool2): its window of 2x2 has an even size; PADDING_SAME needs odd "
                  "ones",
                  "layer 4.2.1 (layer_norm1): epsilon is 2; it must be above 0 and at most 1",
                  "layer 4.2.2 (unknown1): is of no kind that is known here",
                  "layer 5 (dense1): units is -1; it must be 1 to 65536"));
}

TEST(NetworkMistakesTest, OfNameAndDropoutHideNoneOfTheLayers) {
  Architecture network = Of(NetworkOf(R"(
    name: "my net"
    layers { dropout {} }
    layers { dense {} })"));
  network.dropout = 1.5;
  EXPECT_THAT(PlanOf(network).problems,
              ElementsAre("dropout is 1.5; it must be at least 0 and below 1",
                          "the name of the network must be at most 63 characters of a-z, 0-9 and "
                          "'-'",
                          "layer 2 (dense1): units is 0; it must be 1 to 65536"));
  EXPECT_EQ(network.Validate().message(), absl::StrJoin(PlanOf(network).problems, "; "));
}

TEST(NetworkMistakesTest, AWindowThatDoesNotFitSaysWhatIsLeft) {
  const std::string advice = "; use larger images or a network with less pooling";
  EXPECT_THAT(ProblemsOf("layers { convolution { filters: 2 kernel: 11 padding: PADDING_VALID } }"),
              ElementsAre("layer 1 (conv1): its window is 11x11 but only 12x10 pixels are left of "
                          "the 12x10 image" +
                          advice));
  EXPECT_THAT(ProblemsOf(R"(layers { convolution { filters: 2 kernel: 2 kernel_width: 3 dilation: 5
                                                   padding: PADDING_VALID } })"),
              ElementsAre("layer 1 (conv1): its window is 6x11 but only 12x10 pixels are left of "
                          "the 12x10 image" +
                          advice));
  EXPECT_THAT(ProblemsOf(R"(
                layers { max_pooling { size: 4 } }
                layers { average_pooling { size: 3 size_width: 2 } }
                layers { max_pooling {} })"),
              ElementsAre("layer 3 (pool3): its window is 2x2 but only 1x1 pixels are left of the "
                          "12x10 image" +
                          advice));
  // Zeros around the image, whatever its size, leave none out.
  EXPECT_THAT(ProblemsOf(R"(
                layers { average_pooling { size: 12 size_width: 10 } }
                layers { convolution { filters: 2 kernel: 11 dilation: 8 stride: 8 } }
                layers { max_pooling { size: 4095 stride: 1 padding: PADDING_SAME } })"),
              IsEmpty());
}

TEST(NetworkMistakesTest, AStrideBeforePoolingCounts) {
  EXPECT_THAT(ProblemsOf(R"(
                layers { convolution { filters: 32 stride: 8 } }
                layers { max_pooling { size: 5 } })"),
              ElementsAre(HasSubstr("layer 2 (pool1): its window is 5x5 but only 2x2 pixels are "
                                    "left of the 12x10 image")));
}

TEST(NetworkMistakesTest, LayersOfPixelsNeedAnImage) {
  const std::pair<const char*, const char*> lists[] = {
      {"layers { dense { units: 7 } }", "layer 1 (dense1) gives 7 numbers"},
      {"layers { flatten {} }", "layer 1 (flatten1) gives 480 numbers"},
      {"layers { global_pooling: GLOBAL_POOLING_MAX }", "layer 1 (global_pool1) gives 4 numbers"}};
  const std::pair<const char*, const char*> of_pixels[] = {
      {"layers { convolution { filters: 2 } }", "conv1"},
      {"layers { max_pooling {} }", "pool1"},
      {"layers { average_pooling {} }", "pool1"},
      {"layers { spatial_dropout {} }", "dropout1"},
      {"layers { squeeze_excitation { reduction: 1 } }", "squeeze1"},
      {"layers { spatial_attention {} }", "attention1"}};
  for (const auto& [list, gives] : lists) {
    for (const auto& [layer, name] : of_pixels) {
      EXPECT_THAT(ProblemsOf(absl::StrCat(list, layer)),
                  ElementsAre(absl::StrCat("layer 2 (", name, "): needs an image, but ", gives)));
    }
    // The others take lists.
    EXPECT_THAT(ProblemsOf(absl::StrCat(list, R"(
                  layers { batch_norm {} } layers { group_norm { groups: 1 } }
                  layers { layer_norm {} } layers { activation: ACTIVATION_ELU }
                  layers { dropout {} } layers { flatten {} } layers { dense { units: 3 } }
                  layers { residual { layers { activation: ACTIVATION_TANH } } })")),
                IsEmpty());
  }
  EXPECT_THAT(ProblemsOf(R"(layers { global_pooling: GLOBAL_POOLING_MAX }
                            layers { global_pooling: GLOBAL_POOLING_MAX })"),
              ElementsAre("layer 2 (global_pool2): needs an image, but layer 1 (global_pool1) "
                          "gives 4 numbers"));
}

TEST(NetworkMistakesTest, SumsOfUnequalShapesNameBoth) {
  const std::string words =
      "; they can be added only if the sizes are equal or differ by a stride of 2 to 8 throughout";
  const auto residual = [](const char* layers) {
    return ProblemsOf(absl::StrCat("layers { residual {", layers, "} }"));
  };
  EXPECT_THAT(residual("layers { convolution { filters: 7 padding: PADDING_VALID } }"),
              ElementsAre("layer 1 (residual1): gets 4x12x10 and its layers give 7x10x8" + words));
  EXPECT_THAT(residual("layers { max_pooling { size: 2 size_width: 5 } }"),
              ElementsAre("layer 1 (residual1): gets 4x12x10 and its layers give 4x6x2" + words));
  EXPECT_THAT(residual("layers { average_pooling { size: 10 } }"),
              ElementsAre("layer 1 (residual1): gets 4x12x10 and its layers give 4x1x1" + words));
  EXPECT_THAT(
      residual("layers { dense { units: 480 } }"),
      ElementsAre("layer 1 (residual1): gets 4x12x10 and its layers give 480 numbers" + words));
  EXPECT_THAT(
      ProblemsOf(R"(layers { dense { units: 6 } }
                            layers { residual { layers { dense { units: 5 } } } })"),
      ElementsAre("layer 2 (residual1): gets 6 numbers and its layers give 5 numbers" + words));
  // What a projection can bridge.
  for (const char* layers : {"layers { convolution { filters: 9 } }", "layers { max_pooling {} }",
                             "layers { convolution { filters: 4 stride: 8 } }",
                             "layers { max_pooling { size: 2 size_width: 1 stride: 2 } }"}) {
    EXPECT_THAT(residual(layers), IsEmpty()) << layers;
  }
}

// So many residual blocks in each other, around one activation.
std::string Nested(int depth) {
  std::string text = "layers { activation: ACTIVATION_RELU }";
  for (int i = 0; i < depth; ++i) text = absl::StrCat("layers { residual {", text, "} }");
  return text;
}

TEST(NetworkMistakesTest, ResidualBlocksLieInEachOtherEightDeep) {
  EXPECT_THAT(ProblemsOf(Nested(8)), IsEmpty());
  EXPECT_THAT(ProblemsOf(Nested(9)),
              ElementsAre("layer 1.1.1.1.1.1.1.1.1 (residual9): is inside of 8 residual blocks; at "
                          "most 8 can be in each other"));
  EXPECT_EQ(ProblemsOf(Nested(40)).size(), 1U);
}

TEST(NetworkMistakesTest, ThereAreAtMost256LayersWithThoseInside) {
  v1::Network network;
  for (int i = 0; i < 255; ++i) network.add_layers()->set_activation(v1::ACTIVATION_TANH);
  v1::Layer& last = *network.add_layers();
  last.set_activation(v1::ACTIVATION_TANH);
  EXPECT_THAT(PlanOf(Of(network)).problems, IsEmpty());
  last.mutable_residual()->add_layers()->set_activation(v1::ACTIVATION_TANH);
  EXPECT_THAT(PlanOf(Of(network)).problems,
              ElementsAre("the network has 257 layers; at most 256 are possible"));
}

// Nothing is done with them but counting.
TEST(NetworkMistakesTest, AMillionLayersAreRefusedAtOnce) {
  v1::Network network;
  for (int i = 0; i < 1'000'000; ++i) network.add_layers()->mutable_convolution();
  const NetworkPlan plan = PlanOf(Of(std::move(network)));
  EXPECT_THAT(plan.problems,
              ElementsAre("the network has 1000000 layers; at most 256 are possible"));
  EXPECT_THAT(plan.layers, IsEmpty());
}

TEST(NetworkMistakesTest, ThereAreAtMost268MillionParameters) {
  EXPECT_THAT(ProblemsOf("layers { dense { units: 65536 } } layers { dense { units: 4090 } }"),
              ElementsAre(HasSubstr("the number of parameters is 299")));
  EXPECT_THAT(ProblemsOf("layers { dense { units: 65536 } } layers { dense { units: 65536 } }"),
              ElementsAre(HasSubstr("; it must be 1 to 268435456")));
}

TEST(NetworkMistakesTest, ALayerGivesAtMostTwoBillionNumbers) {
  Architecture network = Of(NetworkOf("layers { convolution { filters: 65536 kernel: 1 } }"));
  network.input = {1, 4096, 4096};
  EXPECT_THAT(PlanOf(network).problems,
              ElementsAre("layer 1 (conv1): its output of 65536x4096x4096 has 1099511627776 "
                          "numbers; at most 2147483648 are possible"));
}

}  // namespace
}  // namespace atelier::models
