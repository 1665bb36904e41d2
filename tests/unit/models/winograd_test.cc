// Winograd's convolutions against the plain ones.
#include "models/kernels/winograd.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "models/base/float_buffer.h"
#include "models/base/random.h"
#include "tests/unit/models/zero_border.h"

namespace atelier::models {
namespace {

TEST(Bfloat16Test, RoundsToTheNearestTiesToEven) {
  EXPECT_EQ(RoundToBfloat16(1.0F).bits, 0x3F80);
  EXPECT_EQ(RoundToBfloat16(-2.0F).bits, 0xC000);
  EXPECT_EQ(RoundToBfloat16(std::bit_cast<float>(0x3F808000)).bits, 0x3F80);
  EXPECT_EQ(RoundToBfloat16(std::bit_cast<float>(0x3F808001)).bits, 0x3F81);
  EXPECT_EQ(RoundToBfloat16(std::bit_cast<float>(0x3F818000)).bits, 0x3F82);
  EXPECT_EQ(RoundToBfloat16(std::numeric_limits<float>::max()).bits, 0x7F80);
  EXPECT_EQ(RoundToBfloat16(std::bit_cast<float>(0x7FFFFFFF)).bits, 0x7FC0);
}

// Rounded weights, in float32 and in bfloat16.
struct Rounded {
  explicit Rounded(const FloatBuffer& values)
      : wide(values.size()), narrow(static_cast<size_t>(values.size())) {
    for (int64_t i = 0; i < values.size(); ++i) {
      const Bfloat16 rounded = RoundToBfloat16(values.data()[i]);
      narrow[static_cast<size_t>(i)] = rounded;
      wide.data()[i] = std::bit_cast<float>(uint32_t{rounded.bits} << 16);
    }
  }
  FloatBuffer wide;
  std::vector<Bfloat16> narrow;
};

// Numbers in [-0.5, 0.5).
FloatBuffer Noise(int64_t size, uint64_t seed) {
  FloatBuffer buffer(size);
  RandomStream random(seed, RandomPurpose::kWeights);
  for (int64_t i = 0; i < size; ++i) buffer.data()[i] = random.NextFloat() - 0.5F;
  return buffer;
}

// An image of noise in a border of zeros.
FloatBuffer PaddedNoise(const ConvolutionShape& shape, int64_t channels, uint64_t seed) {
  return WithZeroBorder(shape, channels, Noise(shape.padded_size(channels), seed));
}

void ExpectNear(const FloatBuffer& actual, const FloatBuffer& expected, double tolerance) {
  double worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual.data()[i]) - expected.data()[i]));
  }
  EXPECT_LT(worst, tolerance);
}

TEST(MultiplyTest, ReadsWeightsInBfloat16) {
  constexpr int64_t kInner = 600;
  const FloatBuffer bias = Noise(2 * kPanel, 3);
  const Rounded weights(Noise(kInner * 2 * kPanel, 2));
  for (const int64_t rows : {1, 3, 32}) {
    const FloatBuffer a = Noise(rows * kInner, 1);
    FloatBuffer actual(rows * 2 * kPanel);
    FloatBuffer expected(rows * 2 * kPanel);
    Multiply(rows, kInner, 2 * kPanel, a.data(), weights.wide.data(), bias.data(),
             Activation::kRelu, expected.data());
    Multiply(rows, kInner, 2 * kPanel, a.data(), weights.narrow.data(), bias.data(),
             Activation::kRelu, actual.data());
    ExpectNear(actual, expected, 1e-7);
  }
}

// Height, width, inputs, outputs.
class WinogradTest : public testing::TestWithParam<std::tuple<int, int, int, int>> {
 protected:
  const ConvolutionShape shape_ = {std::get<0>(GetParam()), std::get<1>(GetParam()),
                                   std::get<2>(GetParam()), std::get<3>(GetParam())};
  const int64_t weight_count_ = 9 * shape_.inputs * shape_.outputs;
  const int64_t transformed_count_ = kWinogradPlaces * shape_.inputs * shape_.outputs;
};

TEST_P(WinogradTest, ConvolvesLikeThePlainWay) {
  const FloatBuffer input = PaddedNoise(shape_, shape_.inputs, 1);
  const FloatBuffer weights = Noise(weight_count_, 2);
  const FloatBuffer bias = Noise(shape_.outputs, 3);
  FloatBuffer transformed(transformed_count_);
  for (int64_t panel = 0; panel < shape_.outputs / kPanel; ++panel) {
    TransformWeights(shape_.inputs, shape_.outputs, panel, weights.data(), transformed.data());
  }
  const int64_t size = shape_.height * shape_.width * shape_.outputs;
  FloatBuffer scratch(WinogradScratch(shape_));
  FloatBuffer actual(size);
  FloatBuffer expected(size);
  for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
    const float* start = activation == Activation::kRelu ? bias.data() : nullptr;
    Convolve(shape_, input.data(), weights.data(), start, activation, expected.data());
    WinogradConvolve(shape_, input.data(), transformed.data(), start, activation, scratch.data(),
                     actual.data());
    ExpectNear(actual, expected, 2e-5);
  }
}

TEST_P(WinogradTest, SumsTheWeightsGradientOverImages) {
  constexpr int kImages = 3;
  const int64_t tiles = WinogradTiles(shape_);
  const int64_t capacity = kImages * tiles + 1;
  FloatBuffer inputs(kWinogradPlaces * WinogradMatrix(capacity, shape_.inputs));
  FloatBuffer gradients(kWinogradPlaces * WinogradMatrix(capacity, shape_.outputs));
  FloatBuffer expected(weight_count_);
  for (int i = 0; i < kImages; ++i) {
    const FloatBuffer input = PaddedNoise(shape_, shape_.inputs, 10 + i);
    const FloatBuffer gradient = PaddedNoise(shape_, shape_.outputs, 20 + i);
    TransformInput(shape_, input.data(), capacity, i * tiles, inputs.data());
    TransformGradient(shape_, gradient.data(), capacity, i * tiles, gradients.data());
    AddWeightGradient(shape_, input.data(), gradient.data(), expected.data());
  }
  FloatBuffer transformed(transformed_count_);
  AddTransformedGradient(shape_, capacity, kImages * tiles, inputs.data(), gradients.data(),
                         transformed.data());
  FloatBuffer actual(weight_count_);
  GradientOfWeights(shape_, transformed.data(), actual.data());
  ExpectNear(actual, expected, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Shapes, WinogradTest,
                         testing::Values(std::tuple(14, 14, 32, 64), std::tuple(7, 7, 64, 32),
                                         std::tuple(1, 1, 32, 32), std::tuple(2, 9, 32, 32),
                                         std::tuple(11, 4, 64, 96)));

}  // namespace
}  // namespace atelier::models
