#include "models/pictures/image_fit.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::models {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Image Grey(int64_t height, int64_t width, std::vector<uint8_t> pixels) {
  return {height, width, 1, std::move(pixels)};
}

// A dark square in the middle of a bright picture.
Image DarkOnBright(int64_t side) {
  Image image = Grey(side, side, std::vector<uint8_t>(static_cast<size_t>(side * side), 240));
  for (int64_t y = side / 4; y < side * 3 / 4; ++y) {
    for (int64_t x = side / 4; x < side * 3 / 4; ++x) {
      image.pixels[static_cast<size_t>(y * side + x)] = 20;
    }
  }
  return image;
}

std::vector<uint8_t> Fit(const Image& image, const ImageShape& shape, FitOptions options = {}) {
  const auto pixels = FitImage(image, shape, options);
  EXPECT_TRUE(pixels.ok()) << pixels.status();
  return pixels.ok() ? *pixels : std::vector<uint8_t>();
}

TEST(ImageFitTest, APictureOfTheRightSizeStaysAsItIs) {
  std::vector<uint8_t> pixels(12);
  std::iota(pixels.begin(), pixels.end(), 7);
  for (const Resize resize : {Resize::kPad, Resize::kStretch, Resize::kNone}) {
    EXPECT_EQ(Fit(Grey(3, 4, pixels), {1, 3, 4}, {resize}), pixels);
  }
}

TEST(ImageFitTest, ShrinkingAveragesTheAreaOfAPixel) {
  EXPECT_THAT(Scale(Grey(2, 4, {0, 100, 10, 20, 100, 200, 30, 40}), 1, 2).pixels,
              ElementsAre(100, 25));
  // Three pixels to two: the middle one is half of each.
  EXPECT_THAT(Scale(Grey(1, 3, {0, 90, 240}), 1, 2).pixels, ElementsAre(30, 190));
  // Means stay, at any ratio.
  const Image even = Grey(97, 61, std::vector<uint8_t>(97 * 61, 200));
  EXPECT_THAT(Scale(even, 28, 28).pixels, Each(200));
}

TEST(ImageFitTest, GrowingInterpolatesBetweenCentres) {
  EXPECT_THAT(Scale(Grey(1, 2, {0, 100}), 1, 4).pixels, ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(Scale(Grey(1, 1, {9}), 2, 3).pixels, Each(9));
  EXPECT_THAT(Scale({1, 2, 3, {0, 50, 100, 100, 50, 0}}, 1, 1).pixels, ElementsAre(50, 50, 50));
}

TEST(ImageFitTest, GrowsOneWayAndShrinksTheOther) {
  EXPECT_THAT(Scale(Grey(1, 4, {0, 100, 100, 200}), 2, 2).pixels, ElementsAre(50, 150, 50, 150));
}

TEST(ImageFitTest, PadsWithTheBordersColourInTheMiddle) {
  // Twice as wide as high: one row of the border's mean above and below.
  EXPECT_THAT(Fit(Grey(2, 4, {8, 8, 8, 8, 8, 8, 8, 8}), {1, 4, 4}), Each(8));
  const auto padded = Fit(Grey(2, 4, {0, 0, 0, 0, 80, 80, 80, 80}), {1, 4, 4});
  EXPECT_THAT(padded, ElementsAre(40, 40, 40, 40, 0, 0, 0, 0, 80, 80, 80, 80, 40, 40, 40, 40));
  // Higher than wide, in colour, planes apart.
  EXPECT_THAT(Fit({2, 1, 3, {1, 2, 3, 5, 6, 7}}, {3, 2, 2}),
              ElementsAre(1, 3, 5, 3, 2, 4, 6, 4, 3, 5, 7, 5));
}

TEST(ImageFitTest, KeepsAtLeastOnePixelOfAThread) {
  EXPECT_EQ(Fit(Grey(1, 1000, std::vector<uint8_t>(1000, 50)), {1, 28, 28}),
            std::vector<uint8_t>(784, 50));
  EXPECT_EQ(Fit(Grey(1000, 1, std::vector<uint8_t>(1000, 50)), {1, 28, 28}),
            std::vector<uint8_t>(784, 50));
}

TEST(ImageFitTest, StretchFillsTheWholeSize) {
  EXPECT_THAT(Fit(Grey(1, 2, {0, 100}), {1, 2, 2}, {Resize::kStretch}),
              ElementsAre(0, 100, 0, 100));
}

TEST(ImageFitTest, NoneRefusesAnotherSizeAndNamesBoth) {
  const auto pixels = FitImage(Grey(2, 3, std::vector<uint8_t>(6)), {1, 28, 28}, {Resize::kNone});
  EXPECT_TRUE(absl::IsInvalidArgument(pixels.status()));
  EXPECT_THAT(std::string(pixels.status().message()),
              HasSubstr("2x3 pixels; the model takes 28x28"));
}

TEST(ImageFitTest, InvertsWhenToldTo) {
  const Image image = Grey(1, 3, {0, 100, 255});
  EXPECT_THAT(Fit(image, {1, 1, 3}, {.inversion = Inversion::kYes}), ElementsAre(255, 155, 0));
  EXPECT_THAT(Fit(image, {1, 1, 3}, {.inversion = Inversion::kNo}), ElementsAre(0, 100, 255));
}

TEST(ImageFitTest, AutoInvertsABrightBorderAlone) {
  const FitOptions automatic = {.inversion = Inversion::kAuto};
  const auto inverted = Fit(DarkOnBright(56), {1, 28, 28}, automatic);
  EXPECT_EQ(inverted[0], 15);
  EXPECT_EQ(inverted[14 * 28 + 14], 235);
  // What is bright on black already stays.
  Image negative = DarkOnBright(56);
  for (uint8_t& value : negative.pixels) value = static_cast<uint8_t>(255 - value);
  EXPECT_EQ(Fit(negative, {1, 28, 28}, automatic), inverted);
  // A bright middle is not a border.
  EXPECT_THAT(Fit(Grey(3, 3, {9, 9, 9, 9, 255, 9, 9, 9, 9}), {1, 3, 3}, automatic),
              ElementsAre(9, 9, 9, 9, 255, 9, 9, 9, 9));
}

TEST(ImageFitTest, WhatIsPaddedToAnInvertedPictureIsInvertedToo) {
  EXPECT_THAT(
      Fit(Grey(2, 4, std::vector<uint8_t>(8, 250)), {1, 4, 4}, {.inversion = Inversion::kAuto}),
      Each(5));
}

TEST(ImageFitTest, ConvertsChannelsBothWays) {
  EXPECT_THAT(Fit({1, 1, 3, {255, 0, 0}}, {1, 1, 1}), ElementsAre(76));
  EXPECT_THAT(Fit(Grey(1, 1, {9}), {3, 1, 1}), ElementsAre(9, 9, 9));
  EXPECT_FALSE(FitImage(Grey(1, 1, {9}), {2, 1, 1}).ok());
}

}  // namespace
}  // namespace atelier::models
