#include "models/data/color_jitter.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::models {
namespace {

std::vector<uint8_t> Jittered(double strength, const ImageShape& shape, std::vector<uint8_t> image,
                              uint64_t number) {
  RandomStream random(5, RandomPurpose::kStep, number);
  JitterColors(strength, shape, random, image.data());
  return image;
}

TEST(JitterColorsTest, WithoutStrengthChangesNothing) {
  const std::vector<uint8_t> image = {0, 1, 77, 128, 200, 255, 3, 9, 81, 90, 99, 250};
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(Jittered(0, {3, 2, 2}, image, i), image);
    EXPECT_EQ(Jittered(0, {1, 3, 4}, image, i), image);
    EXPECT_EQ(Jittered(0, {2, 3, 2}, image, i), image);
  }
}

// A flat grey image has no contrast and no saturation, so that brightness alone changes it.
TEST(JitterColorsTest, BrightnessIsUniformAroundOne) {
  double least = 2;
  double most = 0;
  double sum = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    const std::vector<uint8_t> result = Jittered(0.4, {3, 2, 2}, std::vector<uint8_t>(12, 100), i);
    EXPECT_THAT(result, testing::Each(result[0])) << i;
    const double factor = result[0] / 100.0;
    least = std::min(least, factor);
    most = std::max(most, factor);
    sum += factor;
  }
  EXPECT_NEAR(least, 0.6, 0.02);
  EXPECT_NEAR(most, 1.4, 0.02);
  EXPECT_NEAR(sum / 2000, 1, 0.02);
}

// Of two greys the difference is changed by brightness and contrast, the mean by brightness alone.
TEST(JitterColorsTest, ContrastStretchesAboutTheMean) {
  double least = 2;
  double most = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const std::vector<uint8_t> result = Jittered(0.3, {1, 1, 2}, {80, 120}, i);
    const double brightness = (result[0] + result[1]) / 200.0;
    EXPECT_LE(std::abs(brightness - 1), 0.32);
    const double contrast = (result[1] - result[0]) / 40.0 / brightness;
    least = std::min(least, contrast);
    most = std::max(most, contrast);
  }
  EXPECT_NEAR(least, 0.7, 0.05);
  EXPECT_NEAR(most, 1.3, 0.05);
}

// One pixel has no contrast of its own: grey stays what brightness makes of it, and the distances
// from grey go with saturation, too.
TEST(JitterColorsTest, SaturationStretchesColoursAboutTheirGrey) {
  double least = 2;
  double most = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const std::vector<uint8_t> result = Jittered(0.3, {3, 1, 1}, {90, 110, 130}, i);
    const double grey = 0.299 * result[0] + 0.587 * result[1] + 0.114 * result[2];
    const double brightness = grey / (0.299 * 90 + 0.587 * 110 + 0.114 * 130);
    EXPECT_LE(std::abs(brightness - 1), 0.32);
    // Contrast stretches about the same grey.
    const double stretched = (result[2] - result[0]) / 40.0 / brightness;
    least = std::min(least, stretched);
    most = std::max(most, stretched);
    EXPECT_LE(result[0], result[1]);
    EXPECT_LE(result[1], result[2]);
  }
  EXPECT_NEAR(least, 0.7 * 0.7, 0.08);
  EXPECT_NEAR(most, 1.3 * 1.3, 0.08);
}

TEST(JitterColorsTest, CutsOffWhatIsTooBrightOrTooDark) {
  bool white = false;
  bool black = false;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::vector<uint8_t> result = Jittered(1, {1, 1, 2}, {5, 250}, i);
    white |= result[1] == 255;
    black |= result[0] == 0;
    EXPECT_LE(result[0], result[1]);
  }
  EXPECT_TRUE(white);
  EXPECT_TRUE(black);
}

TEST(JitterColorsTest, IsTheSameForTheSameRandomNumbers) {
  const std::vector<uint8_t> image = {10, 60, 110, 160, 210, 250};
  EXPECT_EQ(Jittered(0.5, {3, 1, 2}, image, 4), Jittered(0.5, {3, 1, 2}, image, 4));
  EXPECT_NE(Jittered(0.5, {3, 1, 2}, image, 4), Jittered(0.5, {3, 1, 2}, image, 5));
}

}  // namespace
}  // namespace atelier::models
