// Pictures of filters and feature maps, and the numbers in them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/feature_maps.h"
#include "models/archive/filters.h"
#include "models/network/block_network.h"
#include "models/pictures/image_codec.h"
#include "models/pictures/tiled_picture.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Image Decoded(const TiledPicture& picture) {
  const auto image = DecodeImage(picture.png);
  EXPECT_TRUE(image.ok()) << image.status();
  if (!image.ok()) return {};
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->height, picture.layout.picture_height());
  EXPECT_EQ(image->width, picture.layout.picture_width());
  return *image;
}

// The grey of one number of one tile, which must be the same in all its pixels.
int GreyAt(const TiledPicture& picture, const Image& image, int64_t tile, int64_t y, int64_t x) {
  const TileLayout& layout = picture.layout;
  const int64_t top =
      layout.gap + tile / layout.columns * (layout.tile_height + layout.gap) + y * layout.zoom;
  const int64_t left =
      layout.gap + tile % layout.columns * (layout.tile_width + layout.gap) + x * layout.zoom;
  const auto pixel = [&](int64_t i) {
    const int64_t row = top + i / layout.zoom;
    return 3 * static_cast<size_t>(row * image.width + left + i % layout.zoom);
  };
  const int grey = image.pixels[pixel(0)];
  for (int64_t i = 0; i < layout.zoom * layout.zoom; ++i) {
    for (size_t channel = 0; channel < 3; ++channel) {
      EXPECT_EQ(image.pixels[pixel(i) + channel], grey);
    }
  }
  return grey;
}

TEST(TiledPictureTest, PutsTilesWhereTheLayoutSays) {
  const std::vector<float> values = {-1, 1, 0, 0.5F, -0.5F, -1};
  const auto picture = DrawTiles(values, 1, 2, {.zoom = 3, .columns = 2, .limit = 1});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->layout.tiles, 3);
  EXPECT_EQ(picture->layout.rows, 2);
  EXPECT_EQ(picture->layout.columns, 2);
  EXPECT_EQ(picture->layout.tile_height, 3);
  EXPECT_EQ(picture->layout.tile_width, 6);
  const Image image = Decoded(*picture);
  EXPECT_EQ(image.height, 2 * (3 + 1) + 1);
  EXPECT_EQ(image.width, 2 * (6 + 1) + 1);
  std::vector<int> greys;
  for (int64_t tile = 0; tile < 3; ++tile) {
    for (int64_t x = 0; x < 2; ++x) greys.push_back(GreyAt(*picture, image, tile, 0, x));
  }
  EXPECT_THAT(greys, ElementsAre(0, 255, 128, 192, 64, 0));
  // The gap, and the place of the tile that is not there.
  EXPECT_EQ(std::vector<uint8_t>(image.pixels.begin(), image.pixels.begin() + 3),
            std::vector<uint8_t>(image.pixels.end() - 3, image.pixels.end()));
  EXPECT_NE(image.pixels[0], image.pixels[2]);
}

TEST(TiledPictureTest, WithoutALimitEveryTileHasItsOwnScale) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const auto picture = DrawTiles({10, 20, -3, -2, 7, 7, kNan, kInfinite}, 1, 2, {.columns = 4});
  ASSERT_TRUE(picture.ok()) << picture.status();
  const Image image = Decoded(*picture);
  const auto greys = [&](int64_t tile) {
    return std::vector<int>{GreyAt(*picture, image, tile, 0, 0),
                            GreyAt(*picture, image, tile, 0, 1)};
  };
  EXPECT_THAT(greys(0), ElementsAre(0, 255));
  EXPECT_THAT(greys(1), ElementsAre(0, 255));
  EXPECT_THAT(greys(2), ElementsAre(128, 128));
  EXPECT_THAT(greys(3), ElementsAre(128, 128));
}

TEST(TiledPictureTest, IsNearlySquareWithFullRowsWhereThereAreSuch) {
  const auto columns = [](size_t tiles, int64_t height, int64_t width) {
    return DrawTiles(std::vector<float>(tiles * 9), height, width, {})->layout.columns;
  };
  EXPECT_EQ(columns(32, 3, 3), 8);
  EXPECT_EQ(columns(64, 3, 3), 8);
  EXPECT_EQ(columns(7, 3, 3), 3);
  EXPECT_EQ(columns(1, 3, 3), 1);
  EXPECT_EQ(columns(16, 1, 9), 2);
  EXPECT_EQ(columns(16, 9, 1), 16);
}

TEST(TiledPictureTest, LowersTheZoomAndThenDrawsFewerRows) {
  const std::vector<float> values(100 * 9);
  const auto draw = [&](int64_t max_pixels) {
    return DrawTiles(values, 3, 3, {.zoom = 8, .max_pixels = max_pixels, .columns = 10})->layout;
  };
  EXPECT_EQ(draw(1'000'000).zoom, 8);
  const TileLayout smaller = draw(10'000);
  EXPECT_EQ(smaller.zoom, 2);
  EXPECT_EQ(smaller.tiles, 100);
  const TileLayout cut = draw(500);
  EXPECT_EQ(cut.zoom, 1);
  EXPECT_EQ(cut.rows, 2);
  EXPECT_EQ(cut.tiles, 20);
  EXPECT_LE(cut.picture_height() * cut.picture_width(), 500);
  EXPECT_EQ(draw(1).rows, 1);
}

// A network for 3×6×5 images and four classes; biases and statistics of batch norm as if trained.
TrainedModel ModelOf(const v1::Network& network) {
  Architecture architecture;
  architecture.network = network;
  architecture.input = {3, 6, 5};
  architecture.classes = 4;
  EXPECT_TRUE(architecture.Validate().ok()) << architecture.Validate();
  TrainedModel model = TrainedModel::Initial(architecture, 3);
  for (NamedTensor& tensor : model.tensors) {
    if (tensor.shape.size() != 1) continue;
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      tensor.values[i] += 0.1F * static_cast<float>(i + 1);
    }
  }
  return model;
}

// Two blocks, the first with pooling.
BlockNetwork TwoBlocks() { return {{{4, 2}, {8, 0}}, {5}}; }
TrainedModel SmallNetwork() { return ModelOf(TwoBlocks().ToNetwork("small")); }

TEST(FiltersTest, AreTheWeightsOfTheLayer) {
  const TrainedModel model = SmallNetwork();
  const auto second = FiltersOf(model, 2);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(*second, model.Find("conv2.weight"));
  EXPECT_THAT((*second)->shape, ElementsAre(8, 4, 3, 3));
  for (const int64_t layer : {0, 3, -1}) {
    const auto none = FiltersOf(model, layer);
    EXPECT_EQ(none.status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(none.status().message()), HasSubstr("1 to 2"));
  }
  const TrainedModel dense = ModelOf(BlockNetwork{{}, {5}}.ToNetwork(""));
  EXPECT_EQ(ConvolutionCount(PlanOf(model.architecture)), 2);
  EXPECT_EQ(ConvolutionCount(PlanOf(dense.architecture)), 0);
  EXPECT_EQ(FiltersOf(dense, 1).status().code(), absl::StatusCode::kFailedPrecondition);
}

// Projections and spatial attention have weights but no filters; convolutions in residual blocks
// do.
TEST(FiltersTest, CountConvolutionsWhereverTheyAre) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { residual {
      layers { convolution { filters: 4 kernel: 5 bias: false } }
      layers { spatial_attention {} }
    } }
    layers { convolution { filters: 2 kernel: 1 } })"));
  EXPECT_EQ(ConvolutionCount(PlanOf(model.architecture)), 2);
  EXPECT_THAT((*FiltersOf(model, 1))->shape, ElementsAre(4, 3, 5, 5));
  EXPECT_THAT((*FiltersOf(model, 2))->shape, ElementsAre(2, 4, 1, 1));
  EXPECT_EQ(FiltersOf(model, 3).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(FiltersTest, RowsAreFiltersAndColumnsInputsOnOneScale) {
  const TrainedModel model = SmallNetwork();
  const NamedTensor& filters = **FiltersOf(model, 2);
  const auto picture = DrawFilters(filters, 2, 1'000'000);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->layout.rows, 8);
  EXPECT_EQ(picture->layout.columns, 4);
  const Image image = Decoded(*picture);
  const float limit = Magnitude(filters);
  EXPECT_GT(limit, 0);
  for (size_t i = 0; i < filters.values.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int grey = GreyAt(*picture, image, at / 9, at % 9 / 3, at % 3);
    EXPECT_NEAR(grey, 127.5 + 127.5 * filters.values[i] / limit, 1.01);
  }
}

TEST(FiltersTest, OfAllZerosAreMiddleGreyAndManyInputsAreCut) {
  const NamedTensor zeros = {"conv1.weight", {2, 600, 3, 3}, std::vector<float>(2 * 600 * 9)};
  const auto picture = DrawFilters(zeros, 1, 1'000'000);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->layout.columns, kMaxFilterColumns);
  EXPECT_EQ(picture->layout.rows, 2);
  EXPECT_EQ(GreyAt(*picture, Decoded(*picture), 0, 0, 0), 128);
}

TEST(FiltersTest, TilesHaveTheSizeOfTheKernel) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { convolution { filters: 4 } }
    layers { convolution { filters: 8 kernel: 5 kernel_width: 2 groups: 4 } })"));
  const NamedTensor& filters = **FiltersOf(model, 2);
  EXPECT_THAT(filters.shape, ElementsAre(8, 1, 5, 2));
  const auto picture = DrawFilters(filters, 3, 1'000'000);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->layout.tiles, 8);
  EXPECT_EQ(picture->layout.tile_height, 5 * 3);
  EXPECT_EQ(picture->layout.tile_width, 2 * 3);
}

TEST(FiltersTest, OfTheFirstConvolutionOfColourImagesAreInColour) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { convolution { filters: 4 kernel: 5 kernel_width: 2 } }
    layers { convolution { filters: 3 kernel: 1 } }
    layers { convolution { filters: 2 kernel: 1 } })"));
  EXPECT_TRUE(SeesColors(model, 1));
  // Three channels that are no colours.
  EXPECT_FALSE(SeesColors(model, 3));
  const TrainedModel grouped =
      ModelOf(NetworkOf("layers { convolution { filters: 3 groups: 3 } }"));
  EXPECT_FALSE(SeesColors(grouped, 1));
  const NamedTensor& filters = **FiltersOf(model, 1);
  const auto picture = DrawColorFilters(filters, 3, 1'000'000);
  ASSERT_TRUE(picture.ok()) << picture.status();
  const TileLayout& layout = picture->layout;
  EXPECT_EQ(layout.tiles, 4);
  EXPECT_EQ(layout.tile_height, 15);
  EXPECT_EQ(layout.tile_width, 6);
  const Image image = Decoded(*picture);
  const float limit = Magnitude(filters);
  for (int64_t i = 0; i < 4 * 3 * 10; ++i) {
    const int64_t tile = i / 30;
    const int64_t top = layout.gap + tile / layout.columns * (15 + layout.gap) + i % 10 / 2 * 3;
    const int64_t left = layout.gap + tile % layout.columns * (6 + layout.gap) + i % 2 * 3;
    const size_t at = 3 * static_cast<size_t>((top + 2) * image.width + left + 1);
    const float expected = 127.5F + 127.5F * filters.values[static_cast<size_t>(i)] / limit;
    EXPECT_NEAR(image.pixels[at + static_cast<size_t>(i / 10 % 3)], expected, 1.01);
  }
  // Between the tiles.
  EXPECT_NE(image.pixels[0], image.pixels[2]);
}

// A block by its definition: convolution with same padding, ReLU, batch norm, max pooling.
std::vector<float> PlainBlock(const TrainedModel& model, size_t index, const ImageShape& in,
                              const std::vector<float>& x, const ImageShape& out) {
  const std::string conv = "conv" + std::to_string(index + 1);
  const std::string norm = "norm" + std::to_string(index + 1);
  const auto& weight = model.Find(conv + ".weight")->values;
  const auto& bias = model.Find(conv + ".bias")->values;
  const auto& scale = model.Find(norm + ".weight")->values;
  const auto& shift = model.Find(norm + ".bias")->values;
  const auto& mean = model.Find(norm + ".running_mean")->values;
  const auto& variance = model.Find(norm + ".running_var")->values;
  const int64_t pool = std::max<int64_t>(TwoBlocks().blocks[index].pool, 1);
  const auto convolved = [&](int64_t f, int64_t y, int64_t x0) {
    double sum = bias[static_cast<size_t>(f)];
    for (int64_t c = 0; c < in.channels; ++c) {
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t row = y + k / 3 - 1;
        const int64_t column = x0 + k % 3 - 1;
        if (row < 0 || column < 0 || row >= in.height || column >= in.width) continue;
        sum += static_cast<double>(weight[static_cast<size_t>((f * in.channels + c) * 9 + k)]) *
               x[static_cast<size_t>((c * in.height + row) * in.width + column)];
      }
    }
    const auto channel = static_cast<size_t>(f);
    const double deviation = std::sqrt(variance[channel] + TwoBlocks().batch_norm_epsilon);
    return (std::max(sum, 0.0) - mean[channel]) / deviation * scale[channel] + shift[channel];
  };
  std::vector<float> result;
  for (int64_t f = 0; f < out.channels; ++f) {
    for (int64_t y = 0; y < out.height; ++y) {
      for (int64_t column = 0; column < out.width; ++column) {
        double largest = -HUGE_VAL;
        for (int64_t p = 0; p < pool * pool; ++p) {
          largest = std::max(largest, convolved(f, y * pool + p / pool, column * pool + p % pool));
        }
        result.push_back(static_cast<float>(largest));
      }
    }
  }
  return result;
}

TEST(FeatureMapsTest, AreWhatTheBlocksGiveByDefinition) {
  const TrainedModel model = SmallNetwork();
  std::vector<uint8_t> bytes;
  std::vector<float> floats;
  for (int i = 0; i < 90; ++i) {
    bytes.push_back(static_cast<uint8_t>(37 * i % 256));
    floats.push_back(static_cast<float>(bytes.back()) / 255);
  }
  const auto maps = FeatureMapsOf(model, absl::MakeConstSpan(bytes));
  ASSERT_TRUE(maps.ok()) << maps.status();
  ASSERT_EQ(maps->size(), 2U);
  ImageShape in = model.architecture.input;
  std::vector<float> x = floats;
  for (size_t i = 0; i < 2; ++i) {
    const FeatureMap& map = (*maps)[i];
    EXPECT_EQ(map.block, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(map.shape, (ImageShape{i == 0 ? 4 : 8, 3, 2}));
    x = PlainBlock(model, i, in, x, map.shape);
    in = map.shape;
    EXPECT_THAT(map.values, testing::Pointwise(testing::FloatNear(1e-4F), x));
  }
  const auto again = FeatureMapsOf(model, absl::MakeConstSpan(floats));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)[1].values, (*maps)[1].values);
}

std::vector<ImageShape> ShapesOf(const std::vector<FeatureMap>& maps) {
  std::vector<ImageShape> shapes;
  for (const FeatureMap& map : maps) shapes.push_back(map.shape);
  return shapes;
}

// A block is a convolution with what follows it; that of a residual block's last includes the sum.
TEST(FeatureMapsTest, BlocksEndAtTheNextConvolutionAndAtTheEndOfTheImage) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { max_pooling { size: 2 stride: 1 padding: PADDING_VALID } }
    layers { convolution { filters: 4 } }
    layers { residual {
      layers { convolution { filters: 4 } }
      layers { activation: ACTIVATION_RELU }
      layers { residual { layers { convolution { filters: 5 stride: 2 } } } }
    } }
    layers { activation: ACTIVATION_ELU }
    layers { global_pooling: GLOBAL_POOLING_MAX }
    layers { dense { units: 3 } })"));
  std::vector<float> pixels(90);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * i % 97) / 97;
  const auto maps = FeatureMapsOf(model, PixelSpan(absl::MakeConstSpan(pixels)));
  ASSERT_TRUE(maps.ok()) << maps.status();
  EXPECT_THAT(ShapesOf(*maps),
              ElementsAre(ImageShape{4, 5, 4}, ImageShape{4, 5, 4}, ImageShape{5, 3, 2}));
  // What the last block gives went through ELU, after the sum.
  const auto& last = maps->back().values;
  EXPECT_GE(*std::min_element(last.begin(), last.end()), -1.0F);
  EXPECT_GT(*std::max_element(last.begin(), last.end()), 1.0F);
}

TEST(FeatureMapsTest, AreDrawnAChannelATile) {
  const FeatureMap map = {1, {2, 1, 2}, {0, 5, -9, 1}};
  const auto picture = DrawFeatureMap(map, 4, 1'000'000);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->layout.tiles, 2);
  const Image image = Decoded(*picture);
  EXPECT_EQ(GreyAt(*picture, image, 0, 0, 0), 0);
  EXPECT_EQ(GreyAt(*picture, image, 1, 0, 1), 255);
}

TEST(FeatureMapsTest, ANetworkWithoutConvolutionsHasNone) {
  Architecture architecture;
  architecture.input = {1, 2, 2};
  architecture.classes = 2;
  architecture.network = BlockNetwork{{}, {3}}.ToNetwork("");
  const TrainedModel model = TrainedModel::Initial(architecture, 1);
  const std::vector<uint8_t> pixels(4);
  const auto maps = FeatureMapsOf(model, absl::MakeConstSpan(pixels));
  ASSERT_TRUE(maps.ok()) << maps.status();
  EXPECT_THAT(*maps, IsEmpty());
}

}  // namespace
}  // namespace atelier::models
