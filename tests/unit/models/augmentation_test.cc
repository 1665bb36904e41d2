#include "models/data/augmentation.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

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
}

}  // namespace
}  // namespace atelier::models
