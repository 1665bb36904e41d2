#include "models/data/augmentation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/data/color_jitter.h"
#include "models/data/image_resampling.h"

namespace atelier::models {
namespace {

using testing::ElementsAre;

constexpr ImageShape kSmall = {1, 2, 3};

std::vector<uint8_t> Augmented(const Augmentation& augmentation, const ImageShape& shape,
                               const std::vector<uint8_t>& pixels, uint64_t number) {
  RandomStream random(3, RandomPurpose::kStep, number);
  std::vector<uint8_t> result(pixels.size(), 77);
  Augment(augmentation, shape, pixels.data(), random, result.data());
  return result;
}

// Bytes 1, 2, 3, … for every pixel.
std::vector<uint8_t> Ramp(const ImageShape& shape) {
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
  std::iota(pixels.begin(), pixels.end(), uint8_t{1});
  return pixels;
}

TEST(AugmentTest, NothingAskedForChangesNothing) {
  EXPECT_FALSE(Augmentation{}.any());
  EXPECT_THAT(Augmented({}, kSmall, {1, 2, 3, 4, 5, 6}, 0), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(AugmentTest, MirrorsHalfOfTheImages) {
  int mirrored = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const auto result = Augmented({.horizontal_flip = true}, kSmall, {1, 2, 3, 4, 5, 6}, i);
    const bool changed = result[0] == 3;
    if (changed) {
      EXPECT_THAT(result, ElementsAre(3, 2, 1, 6, 5, 4));
    } else {
      EXPECT_THAT(result, ElementsAre(1, 2, 3, 4, 5, 6));
    }
    mirrored += changed;
  }
  EXPECT_NEAR(mirrored, 500, 80);
}

TEST(AugmentTest, MovesEveryWayAndLetsZerosIn) {
  std::set<std::vector<uint8_t>> seen;
  for (uint64_t i = 0; i < 500; ++i)
    seen.insert(Augmented({.shift = 1}, {1, 2, 2}, Ramp({1, 2, 2}), i));
  EXPECT_EQ(seen.size(), 9U);
  EXPECT_TRUE(seen.contains({1, 2, 3, 4}));
  EXPECT_TRUE(seen.contains({0, 1, 0, 3})) << "to the right";
  EXPECT_TRUE(seen.contains({3, 4, 0, 0})) << "up";
  EXPECT_TRUE(seen.contains({0, 0, 0, 1})) << "down and to the right";
}

TEST(AugmentTest, ChannelsMoveAlike) {
  const ImageShape shape = {3, 5, 6};
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(1 + i % 30);
  for (uint64_t i = 0; i < 50; ++i) {
    const auto result = Augmented({.horizontal_flip = true, .shift = 3}, shape, pixels, i);
    const std::vector<uint8_t> first(result.begin(), result.begin() + 30);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), result.begin() + 30));
    EXPECT_TRUE(std::equal(first.begin(), first.end(), result.begin() + 60));
  }
}

TEST(AugmentTest, ErasesARectangleInTheShareOfImages) {
  const ImageShape shape = {1, 28, 28};
  const std::vector<uint8_t> black(28 * 28, 0);
  int erased = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    const auto result = Augmented({.erasing = 0.25}, shape, black, i);
    int top = 28;
    int bottom = -1;
    int left = 28;
    int right = -1;
    int changed = 0;
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        if (result[static_cast<size_t>(28 * y + x)] == 0) continue;
        ++changed;
        top = std::min(top, y);
        bottom = std::max(bottom, y);
        left = std::min(left, x);
        right = std::max(right, x);
      }
    }
    if (changed == 0) continue;
    ++erased;
    const int area = (bottom - top + 1) * (right - left + 1);
    EXPECT_GE(area, 0.015 * 28 * 28);
    EXPECT_LE(area, 0.36 * 28 * 28);
    // One in 256 random bytes is 0.
    EXPECT_GE(changed, area * 0.9);
  }
  EXPECT_NEAR(erased, 100, 40);
}

TEST(AugmentTest, IsTheSameForTheSameRandomNumbers) {
  const Augmentation all = {.horizontal_flip = true, .shift = 2, .erasing = 1};
  const ImageShape shape = {1, 9, 9};
  EXPECT_EQ(Augmented(all, shape, Ramp(shape), 5), Augmented(all, shape, Ramp(shape), 5));
  EXPECT_NE(Augmented(all, shape, Ramp(shape), 5), Augmented(all, shape, Ramp(shape), 6));
}

TEST(AugmentTest, TheSmallestImageStaysInside) {
  EXPECT_THAT(Augmented({.horizontal_flip = true}, {1, 1, 1}, {9}, 1), ElementsAre(9));
  EXPECT_THAT(Augmented({.random_resized_crop = 0.1, .rotation = 180}, {1, 1, 1}, {9}, 1),
              ElementsAre(9));
}

// FNV-1a of many results, and of what is drawn next, as they were before there were crops,
// rotations and jitter.
TEST(AugmentTest, SeedsMeanWhatTheyMeantBefore) {
  const ImageShape shape = {3, 9, 11};
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7);
  std::vector<uint8_t> result(pixels.size());
  uint64_t hash = 1469598103934665603U;
  const auto add = [&hash](uint64_t byte) { hash = (hash ^ byte) * 1099511628211U; };
  for (uint64_t number = 0; number < 200; ++number) {
    RandomStream random(3, RandomPurpose::kStep, number);
    Augment({.horizontal_flip = number % 2 == 0,
             .shift = static_cast<int64_t>(number % 3),
             .erasing = 0.5},
            shape, pixels.data(), random, result.data());
    for (const uint8_t byte : result) add(byte);
    add(random.Next() & 255);
  }
  EXPECT_EQ(hash, 2099230965238401238U);
}

TEST(AugmentTest, ACropOfTheWholeAreaIsTheImage) {
  const ImageShape shape = {3, 9, 9};
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(Augmented({.random_resized_crop = 1}, shape, Ramp(shape), i), Ramp(shape));
  }
}

// An image whose pixels say where they are: the crop's place and size can be read from it.
TEST(AugmentTest, CropsHaveTheAreaAndProportionsOfRandomResizedCrop) {
  const ImageShape shape = {1, 64, 64};
  std::vector<uint8_t> columns(64 * 64);
  std::vector<uint8_t> rows(64 * 64);
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i] = static_cast<uint8_t>(i % 64 * 4);
    rows[i] = static_cast<uint8_t>(i / 64 * 4);
  }
  double least = 1;
  double most = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    const auto x = Augmented({.random_resized_crop = 0.25}, shape, columns, i);
    const auto y = Augmented({.random_resized_crop = 0.25}, shape, rows, i);
    // Away from the edges, beyond which the outermost pixels go on.
    const double width = (x[40] - x[20]) / 4.0 / 20 * 64;
    const double height = (y[40 * 64] - y[20 * 64]) / 4.0 / 20 * 64;
    const double share = width * height / (64 * 64);
    EXPECT_GT(width / height, 0.7) << i;
    EXPECT_LT(width / height, 1.42) << i;
    least = std::min(least, share);
    most = std::max(most, share);
  }
  EXPECT_NEAR(least, 0.25, 0.04);
  EXPECT_GT(most, 0.85);
}

TEST(AugmentTest, AnImageThatNoPartFitsIsLeftWhole) {
  const std::vector<uint8_t> line = Ramp({1, 1, 50});
  EXPECT_EQ(Augmented({.random_resized_crop = 0.5}, {1, 1, 50}, line, 1), line);
}

TEST(AugmentTest, RotatesBothWaysUpToTheAngle) {
  const ImageShape shape = {1, 33, 33};
  std::vector<uint8_t> pixels(33 * 33);
  std::fill(pixels.begin() + 16 * 33 + 17, pixels.begin() + 17 * 33, uint8_t{255});
  int up = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto result = Augmented({.rotation = 30}, shape, pixels, i);
    double y = 0;
    double x = 0;
    double sum = 0;
    for (int at = 0; at < 33 * 33; ++at) {
      const double weight = result[static_cast<size_t>(at)];
      y += weight * (at / 33 - 16);
      x += weight * (at % 33 - 16);
      sum += weight;
    }
    EXPECT_NEAR(std::hypot(y, x) / sum, 8.5, 0.3);
    const double degrees = std::atan2(y, x) * 180 / M_PI;
    EXPECT_LE(std::abs(degrees), 30.5);
    up += degrees < 0;
  }
  EXPECT_NEAR(up, 100, 40);
}

TEST(AugmentTest, ChannelsAreResampledAlike) {
  const ImageShape shape = {2, 12, 10};
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(1 + i % 120 * 2);
  const Augmentation most = {
      .random_resized_crop = 0.5, .rotation = 45, .horizontal_flip = true, .shift = 3};
  for (uint64_t i = 0; i < 50; ++i) {
    const auto result = Augmented(most, shape, pixels, i);
    EXPECT_NE(result, pixels);
    EXPECT_TRUE(std::equal(result.begin(), result.begin() + 120, result.begin() + 120));
  }
}

// Each step by itself, with the random numbers in the order in which the steps draw them.
TEST(AugmentTest, RotatesThenMirrorsThenMovesThenJitters) {
  const ImageShape shape = {3, 8, 8};
  const std::vector<uint8_t> pixels = Ramp(shape);
  for (uint64_t i = 0; i < 20; ++i) {
    RandomStream random(3, RandomPurpose::kStep, i);
    const double degrees = -20 + 40 * static_cast<double>(random.NextFloat());
    const bool mirrored = random.NextBelow(2) == 1;
    const int64_t down = static_cast<int64_t>(random.NextBelow(5)) - 2;
    const int64_t right = static_cast<int64_t>(random.NextBelow(5)) - 2;
    std::vector<uint8_t> rotated(pixels.size());
    std::vector<uint8_t> expected(pixels.size());
    Resample(shape, MapOfPart(shape, {0, 0, 8, 8}, degrees), {}, pixels.data(), rotated.data());
    Move(shape, {mirrored, down, right}, rotated.data(), expected.data());
    JitterColors(0.5, shape, random, expected.data());
    EXPECT_EQ(Augmented({.rotation = 20, .horizontal_flip = true, .shift = 2, .color_jitter = 0.5},
                        shape, pixels, i),
              expected);
  }
}

}  // namespace
}  // namespace atelier::models
