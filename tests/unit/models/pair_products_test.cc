// Products of bfloat16 and the convolutions and dense layers made of them, by each kind of
// instructions that the machine has, against the same in double.
#include "models/kernels/pair_products.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "models/base/float_buffer.h"
#include "models/base/random.h"
#include "models/kernels/pair_convolution.h"
#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_winograd.h"
#include "tests/unit/models/zero_border.h"

namespace atelier::models {
namespace {

using PairBuffer = NumberBuffer<Bfloat16>;

float Widened(Bfloat16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// Numbers in [-0.5, 0.5) that are bfloat16's.
FloatBuffer Noise(int64_t size, uint64_t seed) {
  FloatBuffer buffer(size);
  RandomStream random(seed, RandomPurpose::kWeights);
  for (int64_t i = 0; i < size; ++i) {
    buffer.data()[i] = Widened(RoundToBfloat16(random.NextFloat() - 0.5F));
  }
  return buffer;
}

// An image of noise in a border of zeros.
FloatBuffer PaddedNoise(const ConvolutionShape& shape, int64_t channels, uint64_t seed) {
  return WithZeroBorder(shape, channels, Noise(shape.padded_size(channels), seed));
}

PairBuffer Rounded(const FloatBuffer& values) {
  PairBuffer rounded(values.size());
  std::transform(values.data(), values.data() + values.size(), rounded.data(), RoundToBfloat16);
  return rounded;
}

// A convolution's weights or their transposed, in panels of pairs.
PairBuffer Paired(const ConvolutionShape& shape, const FloatBuffer& panels) {
  PairBuffer pairs(panels.size());
  const int64_t rows = 9 * shape.inputs;
  for (int64_t panel = 0; panel < shape.outputs / kPanel; ++panel) {
    PairRows(rows, kPanel, panels.data() + panel * rows * kPanel, kPanel, PadToPairStep(rows),
             pairs.data() + panel * rows * kPanel);
  }
  return pairs;
}

void ExpectNear(const FloatBuffer& actual, const FloatBuffer& expected, double tolerance) {
  double worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual.data()[i]) - expected.data()[i]));
  }
  EXPECT_LT(worst, tolerance);
}

// Runs each test with one kind of instructions; skips those that the machine lacks.
class PairTest : public testing::TestWithParam<PairUnit> {
 protected:
  void SetUp() override {
    LimitPairUnit(GetParam());
    if (FindPairUnit() != GetParam()) GTEST_SKIP() << "no " << PairUnitName(GetParam());
  }
  void TearDown() override { LimitPairUnit(PairUnit::kTiles); }
};

TEST_P(PairTest, MultipliesAnyNumberOfRows) {
  constexpr int64_t kInner = 96;
  constexpr int64_t kSegments = 3;
  const FloatBuffer b = Noise(kSegments * kInner * kPanel, 2);
  PairBuffer pairs(b.size());
  PairRows(kSegments * kInner, kPanel, b.data(), kPanel, kSegments * kInner, pairs.data());
  const FloatBuffer bias = Noise(kPanel, 3);
  for (const int64_t rows : {1, 2, 7, 15, 16, 17, 31, 32, 33, 61, 64, 70, 130}) {
    // Runs of one row lie apart, and rows further apart than they are long.
    constexpr int64_t kStride = kSegments * (kInner + 32) + 32;
    const FloatBuffer a = Noise(rows * kStride, 1);
    const PairBuffer rounded = Rounded(a);
    FloatBuffer expected(rows * kPanel);
    for (int64_t i = 0; i < rows * kPanel; ++i) {
      double sum = bias.data()[i % kPanel];
      for (int64_t k = 0; k < kSegments * kInner; ++k) {
        const int64_t at = i / kPanel * kStride + k / kInner * (kInner + 32) + k % kInner;
        sum += static_cast<double>(a.data()[at]) * b.data()[k * kPanel + i % kPanel];
      }
      expected.data()[i] = static_cast<float>(sum);
    }
    FloatBuffer actual(rows * kPanel);
    const PairTask task = {
        rounded.data(), kStride,         2,           kSegments, kInner + 32,   kInner,
        pairs.data(),   kInner * kPanel, bias.data(), 0,         actual.data(), kPanel};
    MultiplyPairs({&task, 1}, rows);
    SCOPED_TRACE(rows);
    ExpectNear(actual, expected, 1e-5);
  }
}

TEST_P(PairTest, KeepsWhatIsNoNumberAndDropsDenormalNumbers) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float denormal = std::bit_cast<float>(0x00400000);
  FloatBuffer a(3 * kPairStep);
  a.data()[0] = kInfinity;
  a.data()[kPairStep] = std::numeric_limits<float>::quiet_NaN();
  a.data()[2 * kPairStep] = denormal;
  PairBuffer rounded(a.size());
  RoundNumbers(a.size(), a.data(), rounded.data());
  EXPECT_EQ(rounded.data()[0].bits, 0x7F80);
  EXPECT_TRUE(std::isnan(Widened(rounded.data()[kPairStep])));
  EXPECT_EQ(rounded.data()[2 * kPairStep].bits, 0);
  FloatBuffer b(kPairStep * kPanel);
  std::fill_n(b.data(), kPanel, 2.0F);
  PairBuffer pairs(b.size());
  PairRows(kPairStep, kPanel, b.data(), kPanel, kPairStep, pairs.data());
  FloatBuffer c(3 * kPanel);
  PairTask task;
  task.a = rounded.data();
  task.a_stride = task.segment_size = kPairStep;
  task.b = pairs.data();
  task.c = c.data();
  task.c_stride = kPanel;
  MultiplyPairs({&task, 1}, 3);
  EXPECT_EQ(c.data()[5], kInfinity);
  EXPECT_TRUE(std::isnan(c.data()[kPanel + 5]));
  EXPECT_EQ(c.data()[2 * kPanel + 5], 0);
  // ReLU keeps them, too.
  FloatBuffer image(3 * kPanel);
  StorePixels(0, 3, c.data(), 3, kPanel, Activation::kRelu, image.data());
  EXPECT_EQ(image.data()[0], kInfinity);
  EXPECT_TRUE(std::isnan(image.data()[kPanel]));
}

TEST_P(PairTest, RoundsLikeTheRest) {
  const std::vector<float> values = {1.0F,
                                     -2.0F,
                                     std::bit_cast<float>(0x3F808000),
                                     std::bit_cast<float>(0x3F808001),
                                     std::bit_cast<float>(0x3F818000),
                                     std::numeric_limits<float>::max(),
                                     -0.0F,
                                     3.14159F};
  FloatBuffer from(32);
  std::copy(values.begin(), values.end(), from.data());
  PairBuffer to(32);
  RoundNumbers(32, from.data(), to.data());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(to.data()[i].bits, RoundToBfloat16(values[i]).bits) << values[i];
  }
}

// Height, width, inputs, outputs.
std::vector<ConvolutionShape> Shapes() {
  return {{14, 14, 32, 64}, {7, 7, 64, 32}, {1, 1, 32, 32},   {1, 40, 32, 32},
          {2, 9, 32, 32},   {9, 2, 64, 64}, {28, 28, 32, 32}, {11, 4, 64, 96}};
}

std::string NameOf(const ConvolutionShape& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + ", " +
         std::to_string(shape.inputs) + " to " + std::to_string(shape.outputs);
}

TEST_P(PairTest, ConvolvesLikeThePlainWay) {
  for (const ConvolutionShape& shape : Shapes()) {
    SCOPED_TRACE(NameOf(shape));
    const FloatBuffer input = PaddedNoise(shape, shape.inputs, 1);
    const FloatBuffer weights = Noise(9 * shape.inputs * shape.outputs, 2);
    const FloatBuffer bias = Noise(shape.outputs, 3);
    const int64_t size = shape.height * shape.width * shape.outputs;
    FloatBuffer actual(size);
    FloatBuffer expected(size);
    for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
      const float* start = activation == Activation::kRelu ? bias.data() : nullptr;
      Convolve(shape, input.data(), weights.data(), start, activation, expected.data());
      PairConvolve(shape, Rounded(input).data(), Paired(shape, weights).data(), start, activation,
                   actual.data());
      ExpectNear(actual, expected, 2e-5);
    }
  }
}

// A buffer's numbers, rounded and widened again.
FloatBuffer RoundedFloats(const FloatBuffer& values) {
  FloatBuffer rounded(values.size());
  std::transform(values.data(), values.data() + values.size(), rounded.data(),
                 [](float value) { return Widened(RoundToBfloat16(value)); });
  return rounded;
}

// Against plain products of the same rounded numbers, and not far from the plain convolution.
TEST_P(PairTest, ConvolvesByTransformedPairs) {
  for (const ConvolutionShape& shape : Shapes()) {
    SCOPED_TRACE(NameOf(shape));
    const FloatBuffer input = PaddedNoise(shape, shape.inputs, 1);
    const FloatBuffer weights = Noise(9 * shape.inputs * shape.outputs, 2);
    const FloatBuffer bias = Noise(shape.outputs, 3);
    FloatBuffer transformed(kWinogradPlaces * shape.inputs * shape.outputs);
    PairBuffer pairs(transformed.size());
    for (int64_t panel = 0; panel < shape.outputs / kPanel; ++panel) {
      TransformWeights(shape.inputs, shape.outputs, panel, weights.data(), transformed.data());
      PairTransformedWeights(shape.inputs, shape.outputs, panel, transformed.data(), pairs.data());
    }
    const int64_t size = shape.height * shape.width * shape.outputs;
    PairBuffer rounded(PairWinogradImage(shape));
    FloatBuffer used(PairWinogradProducts(shape));
    FloatBuffer actual(size);
    PairWinogradConvolve(shape, input.data(), pairs.data(), bias.data(), Activation::kRelu,
                         rounded.data(), used.data(), actual.data());

    const int64_t tiles = WinogradTiles(shape);
    const int64_t matrix = WinogradMatrix(tiles, shape.inputs);
    FloatBuffer image(kWinogradPlaces * matrix);
    TransformInput(shape, input.data(), tiles, 0, image.data());
    const FloatBuffer a = RoundedFloats(image);
    const FloatBuffer b = RoundedFloats(transformed);
    FloatBuffer expected(size);
    for (int64_t panel = 0; panel < shape.outputs; panel += kPanel) {
      const int64_t product = WinogradMatrix(tiles, kPanel);
      FloatBuffer products(kWinogradPlaces * product);
      for (int64_t place = 0; place < kWinogradPlaces; ++place) {
        const float* panel_b = b.data() + (place * shape.outputs + panel) * shape.inputs;
        for (int64_t tile = 0; tile < tiles; ++tile) {
          for (int64_t j = 0; j < kPanel; ++j) {
            double sum = 0;
            for (int64_t k = 0; k < shape.inputs; ++k) {
              sum += static_cast<double>(a.data()[place * matrix + tile * shape.inputs + k]) *
                     panel_b[k * kPanel + j];
            }
            products.data()[place * product + tile * kPanel + j] = static_cast<float>(sum);
          }
        }
      }
      StoreWinogradOutput(shape, products.data(), bias.data() + panel, Activation::kRelu,
                          expected.data() + panel);
    }
    ExpectNear(actual, expected, 2e-5);
    Convolve(shape, input.data(), weights.data(), bias.data(), Activation::kRelu, expected.data());
    ExpectNear(actual, expected, 0.15);
  }
}

TEST_P(PairTest, ConvolvesWithTransposedWeights) {
  for (const ConvolutionShape& shape : Shapes()) {
    SCOPED_TRACE(NameOf(shape));
    const ConvolutionShape back = {shape.height, shape.width, shape.outputs, shape.inputs};
    const FloatBuffer gradient = PaddedNoise(shape, shape.outputs, 1);
    const FloatBuffer weights = Noise(9 * shape.inputs * shape.outputs, 2);
    FloatBuffer transposed(weights.size());
    PairBuffer pairs(weights.size());
    for (int64_t block = 0; block < shape.inputs / kPanel; ++block) {
      TransposePanels(9, shape.inputs, shape.outputs, block, weights.data(), transposed.data());
      TransposeToPairs(9, shape.inputs, shape.outputs, block, weights.data(), pairs.data());
    }
    const int64_t size = shape.height * shape.width * shape.inputs;
    FloatBuffer actual(size);
    FloatBuffer expected(size);
    Convolve(back, gradient.data(), transposed.data(), nullptr, Activation::kNone, expected.data());
    PairConvolve(back, Rounded(gradient).data(), pairs.data(), nullptr, Activation::kNone,
                 actual.data());
    ExpectNear(actual, expected, 2e-5);
  }
}

// How a gradient by the weights is made of images: what they take, and the three steps.
struct GradientWay {
  int64_t input_size;
  int64_t gradient_size;
  std::function<void(const FloatBuffer& input, Bfloat16* to)> pair_input;
  std::function<void(const FloatBuffer& gradient, Bfloat16* to)> pair_gradient;
  std::function<void(int64_t images, const Bfloat16* inputs, const Bfloat16* gradients, float* sum)>
      add;
};

// That it adds what the plain way adds.
void ExpectSumsOverImages(const ConvolutionShape& shape, const GradientWay& way) {
  constexpr int64_t kImages = 3;
  SCOPED_TRACE(NameOf(shape));
  PairBuffer inputs(kImages * way.input_size);
  PairBuffer gradients(kImages * way.gradient_size);
  FloatBuffer expected = Noise(9 * shape.inputs * shape.outputs, 4);
  FloatBuffer actual = Noise(expected.size(), 4);
  for (int64_t i = 0; i < kImages; ++i) {
    const FloatBuffer input = PaddedNoise(shape, shape.inputs, static_cast<uint64_t>(10 + i));
    const FloatBuffer gradient = PaddedNoise(shape, shape.outputs, static_cast<uint64_t>(20 + i));
    way.pair_input(input, inputs.data() + i * way.input_size);
    way.pair_gradient(gradient, gradients.data() + i * way.gradient_size);
    AddWeightGradient(shape, input.data(), gradient.data(), expected.data());
  }
  way.add(kImages, inputs.data(), gradients.data(), actual.data());
  ExpectNear(actual, expected, 2e-4);
}

TEST_P(PairTest, SumsTheWeightsGradientOverImages) {
  for (const ConvolutionShape& shape : Shapes()) {
    ExpectSumsOverImages(
        shape, {TransposedInputSize(shape), PairedGradientSize(shape),
                [&](const FloatBuffer& input, Bfloat16* to) {
                  TransposeInput(shape, Rounded(input).data(), to);
                },
                [&](const FloatBuffer& gradient, Bfloat16* to) {
                  PairGradient(shape, gradient.data(), to);
                },
                [&](int64_t images, const Bfloat16* inputs, const Bfloat16* gradients, float* sum) {
                  AddPairWeightGradient(shape, images, inputs, gradients, sum);
                }});
  }
}

// Only vectors take pairs that do not lie side by side.
TEST_P(PairTest, SumsTheWeightsGradientOverPairsOfPixels) {
  if (FindPairUnit() != PairUnit::kAvx512) return;
  for (const ConvolutionShape& shape : Shapes()) {
    ExpectSumsOverImages(
        shape,
        {PixelPairsSize(shape), GradientPairsSize(shape),
         [&](const FloatBuffer& input, Bfloat16* to) { PairPixels(shape, input.data(), to); },
         [&](const FloatBuffer& gradient, Bfloat16* to) {
           PairGradientPixels(shape, gradient.data(), to);
         },
         [&](int64_t images, const Bfloat16* inputs, const Bfloat16* gradients, float* sum) {
           AddPixelPairGradient(shape, images, inputs, gradients, sum);
         }});
  }
}

INSTANTIATE_TEST_SUITE_P(Units, PairTest, testing::Values(PairUnit::kAvx512, PairUnit::kTiles),
                         [](const auto& test) {
                           return test.param == PairUnit::kTiles ? "Tiles" : "Avx512";
                         });

}  // namespace
}  // namespace atelier::models
