// Drawings of networks: what is drawn as one, where it stands, and what it says.
#include "client/report/network_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/report/network_layout.h"

namespace atelier::client::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

// Adds a layer that gives images of so many channels and so high and wide.
void Add(const std::string& name, int depth, int channels, int edge, std::int64_t multiply_adds,
         v1::NetworkDescription* network) {
  v1::LayerDescription& layer = *network->add_layers();
  layer.set_name(name);
  layer.set_depth(depth);
  layer.set_description(absl::StrCat(channels, " of ", name));
  layer.mutable_output()->set_channels(channels);
  layer.mutable_output()->set_height(edge);
  layer.mutable_output()->set_width(edge);
  layer.set_multiply_adds(multiply_adds);
  layer.set_parameter_count(multiply_adds / 10);
}

v1::NetworkDescription Small() {
  v1::NetworkDescription network;
  network.mutable_network()->set_name("small");
  network.mutable_input()->set_channels(1);
  network.mutable_input()->set_height(28);
  network.mutable_input()->set_width(28);
  network.set_compute_path(v1::COMPUTE_PATH_LIBTORCH);
  network.set_path_reason("A <reason>.");
  return network;
}

// Convolution, activation and pooling, a block with a block inside of it, and a dense layer.
v1::NetworkDescription Residual() {
  v1::NetworkDescription network = Small();
  Add("conv1", 0, 8, 28, 1000, &network);
  Add("activation1", 0, 8, 28, 0, &network);
  Add("pool1", 0, 8, 14, 0, &network);
  Add("residual1", 0, 8, 14, 5000, &network);
  Add("norm1", 1, 8, 14, 0, &network);
  Add("residual2", 1, 8, 14, 2000, &network);
  Add("conv2", 2, 8, 14, 2000, &network);
  Add("conv3", 1, 8, 14, 2000, &network);
  Add("output", 0, 10, 1, 500, &network);
  return network;
}

TEST(NetworkLayoutTest, WhatFollowsALayerStandsWithIt) {
  const NetworkLayout layout = LayOut(Residual());
  ASSERT_THAT(layout.stops, SizeIs(8));
  EXPECT_EQ(layout.stops[0].kind, Stop::Kind::kImage);
  EXPECT_THAT(layout.stops[1].layers, SizeIs(3));
  EXPECT_EQ(layout.stops[1].title, "conv1");
  EXPECT_THAT(layout.stops[1].lines, ElementsAre("8 of conv1", "8 of activation1 · 8", "of pool1",
                                                 "8×14×14", "100 parameters"));
}

TEST(NetworkLayoutTest, BlocksAreGoneAroundTheOuterAboveTheInner) {
  const NetworkLayout layout = LayOut(Residual());
  ASSERT_THAT(layout.bypasses, SizeIs(2));
  EXPECT_EQ(layout.stops[layout.bypasses[0].first].title, "conv2");
  EXPECT_EQ(layout.stops[layout.bypasses[0].sum].kind, Stop::Kind::kSum);
  EXPECT_EQ(layout.bypasses[0].lane, 0);
  EXPECT_EQ(layout.bypasses[1].first, 2);
  EXPECT_EQ(layout.bypasses[1].lane, 1);
  EXPECT_EQ(layout.rows[0].lanes, 2);
  // 5,000 and 2,000 multiply-adds are those of the convolutions inside but for 1,000.
  EXPECT_THAT(layout.stops[layout.bypasses[1].sum].lines,
              ElementsAre("8 of", "residual1", "8×14×14", "100", "parameters"));
}

TEST(NetworkLayoutTest, LongNetworksWrapIntoEvenRows) {
  v1::NetworkDescription network = Small();
  for (int i = 0; i < 10; ++i) Add(absl::StrCat("conv", i), 0, 8, 28, 1000, &network);
  const NetworkLayout layout = LayOut(network);
  std::vector<int> counts(layout.rows.size());
  for (const Stop& stop : layout.stops) {
    EXPECT_LE(stop.x + stop.width, layout.width);
    ++counts[stop.row];
  }
  EXPECT_THAT(counts, ElementsAre(6, 5)) << "the first row has room for seven";
}

TEST(NetworkLayoutTest, TheLongestNetworkFitsThePage) {
  v1::NetworkDescription network = Small();
  for (int i = 0; i < 256; ++i) Add(absl::StrCat("conv", i), 0, 8, 28, 1000, &network);
  EXPECT_LE(LayOut(network).width, kMaxRowWidth);
  EXPECT_LE(LayOut(network).rows.size(), 40U);
}

TEST(NetworkLayoutTest, ABlockThatFitsARowIsNotParted) {
  v1::NetworkDescription network = Small();
  for (int i = 0; i < 5; ++i) Add(absl::StrCat("conv", i), 0, 8, 28, 1000, &network);
  Add("residual1", 0, 8, 28, 3000, &network);
  for (int i = 5; i < 9; ++i) Add(absl::StrCat("conv", i), 1, 8, 28, 1000, &network);
  const NetworkLayout layout = LayOut(network);
  EXPECT_EQ(layout.rows.size(), 2U);
  EXPECT_EQ(layout.stops[layout.bypasses[0].first].row, 1U);
  EXPECT_EQ(layout.stops[layout.bypasses[0].sum].row, 1U);
}

TEST(NetworkPictureTest, DrawsEveryLayerAndSaysWhatComputesIt) {
  const std::string svg = NetworkFigure("mine (2)", Residual());
  for (const char* words : {"mine (2)", "8 of conv2", "residual1: 8 of residual1", "8×14×14",
                            "Computed by LibTorch. A &lt;reason&gt;.", "role=\"img\"",
                            "aria-label=\"Drawing of small, 9 layers."}) {
    EXPECT_THAT(svg, HasSubstr(words));
  }
  EXPECT_THAT(svg, HasSubstr("class=\"bypass\""));
}

TEST(NetworkPictureTest, TextsOfTheServerCannotBreakOut) {
  v1::NetworkDescription network = Residual();
  constexpr char kEvil[] = "<script>alert(1)</script>\"'&";
  network.mutable_network()->set_name(kEvil);
  network.set_path_reason(kEvil);
  for (v1::LayerDescription& layer : *network.mutable_layers()) {
    layer.set_name(kEvil);
    layer.set_description(kEvil);
  }
  EXPECT_THAT(NetworkFigure(kEvil, network), Not(HasSubstr("<script")));
  EXPECT_THAT(NetworkSvgFile(network), Not(HasSubstr("<script")));
}

TEST(NetworkPictureTest, AFileStandsAlone) {
  const std::string svg = NetworkSvgFile(Residual());
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(svg, HasSubstr("<title>small</title>"));
}

TEST(NetworkPictureTest, SizesThatNoServerShouldSendAreDrawnFinite) {
  v1::NetworkDescription network = Small();
  network.clear_input();
  Add("conv1", 3, -5, -7, 1000, &network);
  Add("conv2", 1, 2147483647, 2147483647, 1000, &network);
  const std::string svg = NetworkFigure("odd", network);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

}  // namespace
}  // namespace atelier::client::report
