#include "models/data/image_resampling.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::models {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<uint8_t> Counted(const ImageShape& shape) {
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
  std::iota(pixels.begin(), pixels.end(), uint8_t{1});
  return pixels;
}

std::vector<uint8_t> Shown(const ImageShape& shape, const ImagePart& part, double degrees,
                           const std::vector<uint8_t>& pixels, const Movement& movement = {}) {
  std::vector<uint8_t> result(pixels.size(), 77);
  Resample(shape, MapOfPart(shape, part, degrees), movement, pixels.data(), result.data());
  return result;
}

std::vector<uint8_t> Rotated(const ImageShape& shape, double degrees,
                             const std::vector<uint8_t>& pixels) {
  return Shown(shape, {0, 0, shape.height, shape.width}, degrees, pixels);
}

TEST(ResampleTest, TheWholeImageUnrotatedIsTheImage) {
  for (const ImageShape& shape :
       {ImageShape{1, 1, 1}, ImageShape{3, 4, 7}, ImageShape{1, 1, 9}, ImageShape{2, 9, 1}}) {
    EXPECT_EQ(Rotated(shape, 0, Counted(shape)), Counted(shape));
  }
}

TEST(ResampleTest, RotatesBySquareAngles) {
  EXPECT_THAT(Rotated({1, 2, 2}, 90, {1, 2, 3, 4}), ElementsAre(2, 4, 1, 3));
  EXPECT_THAT(Rotated({1, 2, 2}, -90, {1, 2, 3, 4}), ElementsAre(3, 1, 4, 2));
  EXPECT_THAT(Rotated({1, 2, 2}, 180, {1, 2, 3, 4}), ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(Rotated({1, 3, 3}, 180, {1, 2, 3, 4, 5, 6, 7, 8, 9}),
              ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1));
  const ImageShape shape = {2, 31, 31};
  std::vector<uint8_t> turned = Counted(shape);
  for (int i = 0; i < 4; ++i) turned = Rotated(shape, 90, turned);
  EXPECT_EQ(turned, Counted(shape));
}

TEST(ResampleTest, TurnsALineOfPixelsUpright) {
  EXPECT_THAT(Rotated({1, 1, 5}, 90, {1, 2, 3, 4, 5}), ElementsAre(0, 0, 3, 0, 0));
  EXPECT_THAT(Rotated({1, 1, 5}, 180, {1, 2, 3, 4, 5}), ElementsAre(5, 4, 3, 2, 1));
}

TEST(ResampleTest, LetsZerosInAtTheCorners) {
  const std::vector<uint8_t> white(20 * 20, 255);
  const std::vector<uint8_t> result = Rotated({1, 20, 20}, 45, white);
  EXPECT_EQ(result.front(), 0);
  EXPECT_EQ(result.back(), 0);
  EXPECT_EQ(result[10 * 20 + 10], 255);
}

TEST(ResampleTest, InterpolatesBetweenPixels) {
  // Twice as large: a quarter before and behind the middle of each pixel.
  EXPECT_THAT(Shown({1, 1, 4}, {0, 1, 1, 2}, 0, {0, 100, 200, 0}), ElementsAre(75, 125, 175, 150));
  // The outermost pixels go on to the edge.
  EXPECT_THAT(Shown({1, 1, 4}, {0, 0, 1, 2}, 0, {100, 200, 0, 0}), ElementsAre(100, 125, 175, 150));
  EXPECT_THAT(Shown({3, 2, 2}, {1, 1, 1, 1}, 0, std::vector<uint8_t>(12, 9)), Each(9));
}

TEST(ResampleTest, MovesAfterwardsLikeMove) {
  const ImageShape shape = {2, 5, 6};
  for (const Movement& movement : {Movement{true, 0, 0}, Movement{false, 2, -3},
                                   Movement{true, -1, 2}, Movement{true, 4, -5}}) {
    const std::vector<uint8_t> rotated = Rotated(shape, 33, Counted(shape));
    std::vector<uint8_t> expected(rotated.size());
    Move(shape, movement, rotated.data(), expected.data());
    EXPECT_EQ(Shown(shape, {0, 0, 5, 6}, 33, Counted(shape), movement), expected);
  }
}

}  // namespace
}  // namespace atelier::models
