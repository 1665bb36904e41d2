// Why a network answers as it does: Grad-CAM, occlusion, and the picture of their numbers.
#include "models/archive/explanation.h"

#include <algorithm>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/feature_maps.h"
#include "models/compute/compile.h"
#include "models/network/block_network.h"
#include "models/pictures/image_codec.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;
using testing::SizeIs;

constexpr ImageShape kShape = {3, 6, 8};

TrainedModel ModelOf(const v1::Network& network) {
  Architecture architecture;
  architecture.network = network;
  architecture.input = kShape;
  architecture.classes = 4;
  EXPECT_TRUE(architecture.Validate().ok()) << architecture.Validate();
  return TrainedModel::Initial(architecture, 3);
}

std::vector<float> Pixels() {
  std::vector<float> pixels(static_cast<size_t>(kShape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * i % 97) / 97;
  return pixels;
}

std::vector<float> Answers(const TrainedModel& model, const std::vector<float>& pixels) {
  const auto network = Compile(model);
  std::vector<float> answers(4);
  const PixelSpan part = absl::MakeConstSpan(pixels);
  network->Run(absl::MakeConstSpan(&part, 1), answers.data());
  return answers;
}

// Where nothing but a mean and a dense layer follows, the gradient is the dense layer's weight over
// the number of pixels: class activation mapping, which Grad-CAM generalises.
TEST(GradCamTest, IsClassActivationMappingBeforeAMeanAndADenseLayer) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { convolution { filters: 5 stride: 2 } }
    layers { activation: ACTIVATION_RELU }
    layers { convolution { filters: 7 } }
    layers { activation: ACTIVATION_TANH }
    layers { global_pooling: GLOBAL_POOLING_AVERAGE })"));
  const std::vector<float> pixels = Pixels();
  const auto maps = FeatureMapsOf(model, absl::MakeConstSpan(pixels));
  ASSERT_TRUE(maps.ok()) << maps.status();
  const std::vector<float>& weights = model.Find("output.weight")->values;
  for (const int64_t target : {0, 2}) {
    const auto explained = GradCam(model, absl::MakeConstSpan(pixels), 2, target);
    ASSERT_TRUE(explained.ok()) << explained.status();
    EXPECT_EQ(explained->target, target);
    EXPECT_EQ(explained->heat.height, 3);
    EXPECT_EQ(explained->heat.width, 4);
    std::vector<float> expected;
    for (size_t pixel = 0; pixel < 12; ++pixel) {
      float sum = 0;
      for (size_t channel = 0; channel < 7; ++channel) {
        sum += weights[static_cast<size_t>(target) * 7 + channel] / 12 *
               (*maps)[1].values[channel * 12 + pixel];
      }
      expected.push_back(std::max(sum, 0.0F));
    }
    EXPECT_THAT(explained->heat.values, Pointwise(FloatNear(1e-6F), expected));
    EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 0);
  }
}

TEST(GradCamTest, ExplainsTheMostProbableClassUnlessToldOtherwise) {
  const TrainedModel model = ModelOf(BlockNetwork{{{4, 2}, {6, 0}}, {5}}.ToNetwork(""));
  const std::vector<float> pixels = Pixels();
  const auto explained = GradCam(model, absl::MakeConstSpan(pixels), 2, std::nullopt);
  ASSERT_TRUE(explained.ok()) << explained.status();
  const std::vector<float> answers = Answers(model, pixels);
  EXPECT_THAT(explained->probabilities, Pointwise(FloatNear(1e-5F), answers));
  EXPECT_EQ(explained->target, std::max_element(answers.begin(), answers.end()) - answers.begin());
  const auto asked = GradCam(model, absl::MakeConstSpan(pixels), 2, explained->target);
  EXPECT_EQ(asked->heat.values, explained->heat.values);
}

// Of every block, also of one inside a residual block, and whatever follows it.
TEST(GradCamTest, HasTheSizeOfItsBlock) {
  const TrainedModel model = ModelOf(NetworkOf(R"(
    layers { convolution { filters: 4 kernel: 5 kernel_width: 1 } }
    layers { group_norm { groups: 2 } }
    layers { residual {
      layers { convolution { filters: 6 groups: 2 stride: 2 } }
      layers { batch_norm {} }
      layers { squeeze_excitation { reduction: 2 } }
      layers { convolution { filters: 6 kernel: 1 } }
    } }
    layers { layer_norm {} }
    layers { spatial_attention { kernel: 3 } }
    layers { dense { units: 3 } })"));
  const std::vector<float> pixels = Pixels();
  const std::vector<std::pair<int64_t, int64_t>> sizes = {{6, 8}, {3, 4}, {3, 4}};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto explained =
        GradCam(model, absl::MakeConstSpan(pixels), static_cast<int64_t>(i) + 1, 1);
    ASSERT_TRUE(explained.ok()) << explained.status();
    EXPECT_EQ(std::pair(explained->heat.height, explained->heat.width), sizes[i]);
    EXPECT_EQ(explained->heat.values.size(), static_cast<size_t>(sizes[i].first * sizes[i].second));
  }
}

TEST(OcclusionTest, PositionsReachTheEdge) {
  EXPECT_EQ(OccluderPositions(6, {4, 3}), 2);
  EXPECT_EQ(OccluderPositions(8, {4, 3}), 3);
  EXPECT_EQ(OccluderPositions(8, {4, 4}), 2);
  EXPECT_EQ(OccluderPositions(5, {5, 1}), 1);
}

TEST(OcclusionTest, IsHowFarTheProbabilityFallsUnderTheImagesMean) {
  const TrainedModel model = ModelOf(BlockNetwork{{{4, 2}}, {5}}.ToNetwork(""));
  const std::vector<float> pixels = Pixels();
  const auto explained = Occlusion(model, absl::MakeConstSpan(pixels), {4, 3}, 1);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->heat.height, 2);
  EXPECT_EQ(explained->heat.width, 3);
  const float whole = Answers(model, pixels)[1];
  std::vector<float> expected;
  for (const size_t top : {0, 2}) {
    for (const size_t left : {0, 3, 4}) {
      std::vector<float> covered = pixels;
      for (size_t channel = 0; channel < 3; ++channel) {
        float mean = 0;
        for (size_t i = 0; i < 48; ++i) mean += pixels[channel * 48 + i] / 48;
        for (size_t i = 0; i < 16; ++i) {
          covered[channel * 48 + (top + i / 4) * 8 + left + i % 4] = mean;
        }
      }
      expected.push_back(whole - Answers(model, covered)[1]);
    }
  }
  EXPECT_THAT(explained->heat.values, Pointwise(FloatNear(1e-6F), expected));
  // The first pixel is covered at one position, the one in row 2 and column 3 at all of the left
  // two columns of positions.
  EXPECT_FLOAT_EQ(explained->drawn.values[0], expected[0]);
  EXPECT_NEAR(explained->drawn.values[2 * 8 + 3],
              (expected[0] + expected[1] + expected[3] + expected[4]) / 4, 1e-6);
  EXPECT_THAT(explained->drawn.values, SizeIs(48));
}

TEST(OcclusionTest, WorksWithoutConvolutionsAndFindsThePixelThatCounts) {
  TrainedModel model = ModelOf(NetworkOf("layers { dense { units: 1 } }"));
  for (NamedTensor& tensor : model.tensors) {
    std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  // Red in row 1, column 5 speaks for class 2.
  model.tensors[0].values[8 + 5] = 4;
  model.tensors[2].values[2] = 1;
  std::vector<float> pixels(static_cast<size_t>(kShape.size()));
  pixels[8 + 5] = 1;
  const auto explained = Occlusion(model, absl::MakeConstSpan(pixels), {1, 1}, std::nullopt);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->target, 2);
  for (size_t i = 0; i < 48; ++i) {
    const float fall = explained->heat.values[i];
    // The others are brighter when covered, where their weight is 0.
    if (i == 8 + 5) {
      EXPECT_GT(fall, 0.3F);
    } else {
      EXPECT_NEAR(fall, 0, 1e-6);
    }
  }
}

TEST(OcclusionTest, TakesFewerPositionsOfCostlyNetworks) {
  Architecture cheap = ModelOf(NetworkOf("layers { dense { units: 1 } }")).architecture;
  EXPECT_EQ(MaxOccluderPositions(cheap), 4096);
  Architecture costly = cheap;
  costly.input = {3, 224, 224};
  costly.network = BlockNetwork{{{8, 0}, {8, 2}}, {10}}.ToNetwork("");
  EXPECT_EQ(MaxOccluderPositions(costly), 100'000'000'000 / costly.MultiplyAdds());
  costly.network = BlockNetwork{{{512, 0}, {512, 2}}, {10}}.ToNetwork("");
  EXPECT_EQ(MaxOccluderPositions(costly), 64);
}

TEST(OcclusionTest, EndsWhenTheAnswerIsNoLongerWanted) {
  const TrainedModel model = ModelOf(NetworkOf("layers { dense { units: 1 } }"));
  const std::vector<float> pixels = Pixels();
  int asked = 0;
  const auto ended = Occlusion(model, absl::MakeConstSpan(pixels), {1, 1}, 0, [&asked] {
    return ++asked < 2 ? absl::OkStatus() : absl::CancelledError("gone");
  });
  EXPECT_EQ(ended.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 2);
}

// Red, green, blue of a pixel of a PNG file.
std::vector<int> ColorAt(const HeatOverlay& overlay, int64_t y, int64_t x) {
  const auto image = DecodeImage(overlay.png);
  EXPECT_TRUE(image.ok()) << image.status();
  const auto at = 3 * static_cast<size_t>(y * image->width + x);
  return {image->pixels[at], image->pixels[at + 1], image->pixels[at + 2]};
}

TEST(HeatOverlayTest, LaysLightColoursOfTheLargestMagnitudesOverGrey) {
  const std::vector<uint8_t> image = {0, 100, 0, 200};
  const auto overlay =
      DrawHeat({1, 1, 4}, absl::MakeConstSpan(image), {1, 4, {2, 0, -1, -4}}, 1, 1'000'000);
  ASSERT_TRUE(overlay.ok()) << overlay.status();
  // 0.6 of the colour and 0.4 of the image.
  EXPECT_THAT(ColorAt(*overlay, 0, 1), ElementsAre(40, 40, 42));
  EXPECT_THAT(ColorAt(*overlay, 0, 3), ElementsAre(203, 226, 233));
  const std::vector<int> warm = ColorAt(*overlay, 0, 0);
  const std::vector<int> cold = ColorAt(*overlay, 0, 2);
  EXPECT_GT(warm[0], warm[2]);
  EXPECT_LT(cold[0], cold[2]);
}

TEST(HeatOverlayTest, InterpolatesBetweenTheCentresOfTheNumbers) {
  const std::vector<float> black(8);
  const auto overlay =
      DrawHeat({1, 1, 8}, absl::MakeConstSpan(black), {1, 2, {0, 1}}, 1, 1'000'000);
  ASSERT_TRUE(overlay.ok()) << overlay.status();
  std::vector<int> greens;
  for (int64_t x = 0; x < 8; ++x) greens.push_back(ColorAt(*overlay, 0, x)[1]);
  EXPECT_TRUE(std::is_sorted(greens.begin(), greens.end()));
  // Beyond the centres the numbers go on as they are.
  EXPECT_EQ(greens[0], greens[1]);
  EXPECT_EQ(greens[6], greens[7]);
  EXPECT_LT(greens[2], greens[5]);
}

TEST(HeatOverlayTest, EnlargesAsFarAsThereIsRoom) {
  const std::vector<uint8_t> image(3 * 20);
  const auto draw = [&](int64_t zoom, int64_t max_pixels) {
    return DrawHeat({3, 4, 5}, absl::MakeConstSpan(image), {1, 1, {0}}, zoom, max_pixels);
  };
  EXPECT_EQ(draw(8, 10'000)->zoom, 8);
  EXPECT_EQ(draw(8, 20 * 9)->zoom, 3);
  EXPECT_EQ(draw(8, 1)->zoom, 1);
  const auto picture = DecodeImage(draw(2, 10'000)->png);
  ASSERT_TRUE(picture.ok());
  EXPECT_EQ(picture->height, 8);
  EXPECT_EQ(picture->width, 10);
  // Nothing is evidence: black over black.
  EXPECT_THAT(std::vector<int>(picture->pixels.begin(), picture->pixels.end()),
              Each(testing::Le(2)));
}

}  // namespace
}  // namespace atelier::models
