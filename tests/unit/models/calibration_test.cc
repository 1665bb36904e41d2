// Calibration against values computed by hand, and against a search that knows no derivatives.
#include "models/training/calibration.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/base/random.h"
#include "models/network/probabilities.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

TEST(ProbabilitiesTest, AreRaisedToAPowerAndScaled) {
  std::vector<float> rows = {0.9F, 0.1F, 0.2F, 0.8F};
  ApplyTemperature(2, 2, absl::MakeSpan(rows));
  // √0.9 : √0.1 = 3 : 1, √0.2 : √0.8 = 1 : 2.
  EXPECT_THAT(rows, Pointwise(testing::FloatEq(), {0.75F, 0.25F, 1 / 3.0F, 2 / 3.0F}));
}

TEST(ProbabilitiesTest, StayAtTemperatureOne) {
  std::vector<float> row = {0.7F, 0.2F, 0.0999F, 0.0001F};
  const std::vector<float> before = row;
  ApplyTemperature(1, 4, absl::MakeSpan(row));
  EXPECT_THAT(row, Pointwise(testing::FloatNear(1e-6F), before));
}

TEST(ProbabilitiesTest, OfZeroCountAsTheSmallestNormalNumber) {
  for (const float nothing : {0.0F, std::numeric_limits<float>::denorm_min()}) {
    std::vector<float> row = {1, nothing, nothing};
    ApplyTemperature(20, 3, absl::MakeSpan(row));
    const double relative = std::pow(std::numeric_limits<float>::min(), 1 / 20.0);
    EXPECT_NEAR(row[0], 1 / (1 + 2 * relative), 1e-6);
    EXPECT_NEAR(row[1], relative / (1 + 2 * relative), 1e-6);
    EXPECT_EQ(row[1], row[2]);
  }
  std::vector<float> sharp = {0, 1};
  ApplyTemperature(kMinTemperature, 2, absl::MakeSpan(sharp));
  EXPECT_THAT(sharp, ElementsAre(0, 1));
}

TEST(ProbabilitiesTest, KeepTheirOrderAndAddUpToOne) {
  RandomStream random(5, RandomPurpose::kStep, 0);
  for (const double temperature : {0.05, 0.5, 1.5, 20.0}) {
    std::vector<float> row(7);
    for (float& p : row) p = random.NextFloat();
    const std::vector<float> before = row;
    ApplyTemperature(temperature, 7, absl::MakeSpan(row));
    EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-6);
    for (size_t i = 0; i < 7; ++i) {
      for (size_t j = 0; j < 7; ++j) {
        EXPECT_TRUE(before[i] >= before[j] || row[i] <= row[j]) << temperature;
      }
    }
    EXPECT_FLOAT_EQ(ConfidenceAt(temperature, before), *std::max_element(row.begin(), row.end()));
  }
}

TEST(ReliabilityTest, FollowsItsDefinition) {
  ReliabilityTally tally;
  tally.Add(0.3F, true);
  tally.Add(0.95F, true);
  tally.Add(0.95F, false);
  tally.Add(1.0F, true);
  const Reliability reliability = tally.Finish();
  ASSERT_EQ(reliability.bins.size(), 15U);
  EXPECT_EQ(reliability.bins[4].images, 1);
  EXPECT_FLOAT_EQ(reliability.bins[4].confidence, 0.3);
  EXPECT_EQ(reliability.bins[4].accuracy, 1);
  EXPECT_EQ(reliability.bins[14].images, 3);
  EXPECT_NEAR(reliability.bins[14].confidence, 2.9 / 3, 1e-7);
  EXPECT_NEAR(reliability.bins[14].accuracy, 2 / 3.0, 1e-7);
  EXPECT_EQ(reliability.bins[0].images, 0);
  EXPECT_EQ(reliability.bins[0].accuracy, 0);
  EXPECT_NEAR(reliability.ece, 0.25 * 0.7 + 0.75 * 0.3, 1e-7);
}

TEST(ReliabilityTest, TakesWhatIsNoProbability) {
  ReliabilityTally tally;
  tally.Add(std::nanf(""), false);
  tally.Add(0, false);
  tally.Add(1.0001F, true);
  const Reliability reliability = tally.Finish();
  EXPECT_EQ(reliability.bins[0].images, 2);
  EXPECT_EQ(reliability.bins[14].images, 1);
  EXPECT_EQ(ReliabilityTally().Finish().ece, 0);
}

// `count` rows alike, of which the first `right` have class 0.
LabeledProbabilities Alike(const std::vector<float>& row, int count, int right) {
  LabeledProbabilities images{static_cast<int64_t>(row.size()), {}, {}};
  for (int i = 0; i < count; ++i) {
    images.rows.insert(images.rows.end(), row.begin(), row.end());
    images.labels.push_back(i < right ? 0 : 1);
  }
  return images;
}

TEST(FitTemperatureTest, MakesConfidenceTheAccuracy) {
  // 0.9 : 0.1 = 3² : 1 and 0.75 : 0.25 = 3 : 1.
  EXPECT_NEAR(FitTemperature(Alike({0.9F, 0.1F}, 4, 3)), 2, 1e-6);
  // Too unsure: 2 : 1 becomes 8 : 1.
  EXPECT_NEAR(FitTemperature(Alike({2 / 3.0F, 1 / 3.0F}, 9, 8)), 1 / 3.0, 1e-6);
}

TEST(FitTemperatureTest, TakesProbabilitiesOfZero) {
  const double gap = -std::log(std::numeric_limits<float>::min());
  EXPECT_NEAR(FitTemperature(Alike({1, 0}, 100, 99)), gap / std::log(99), 1e-4);
}

TEST(FitTemperatureTest, EndsAtABoundWhereTheLossFallsWithoutEnd) {
  EXPECT_EQ(FitTemperature(Alike({0.9F, 0.1F}, 10, 10)), kMinTemperature) << "all right";
  EXPECT_EQ(FitTemperature(Alike({1, 0}, 10, 10)), kMinTemperature) << "all right, and sure of it";
  EXPECT_EQ(FitTemperature(Alike({0.9F, 0.1F}, 10, 5)), kMaxTemperature) << "chance";
  EXPECT_EQ(FitTemperature(Alike({0.9F, 0.1F}, 10, 0)), kMaxTemperature) << "all wrong";
  EXPECT_EQ(FitTemperature(Alike({0.25F, 0.25F, 0.25F, 0.25F}, 10, 3)), 1) << "no matter which";
  EXPECT_THAT(TemperatureWarning(kMinTemperature), HasSubstr("0.05, the lowest allowed"));
  EXPECT_THAT(TemperatureWarning(kMaxTemperature), HasSubstr("20, the highest allowed"));
  EXPECT_EQ(TemperatureWarning(1.3), "");
}

// The mean cross-entropy at a temperature, by its definition.
double LossAt(double temperature, const LabeledProbabilities& images) {
  const auto classes = static_cast<size_t>(images.classes);
  double loss = 0;
  for (size_t image = 0; image < images.labels.size(); ++image) {
    double sum = 0;
    for (size_t i = 0; i < classes; ++i) {
      sum += std::pow(images.rows[image * classes + i], 1 / temperature);
    }
    loss -= std::log(
        std::pow(images.rows[image * classes + images.labels[image]], 1 / temperature) / sum);
  }
  return loss;
}

// Softmax of `sharpness` times random numbers; labels are drawn from softmax of the numbers.
LabeledProbabilities Drawn(double sharpness, uint64_t seed) {
  constexpr size_t kClasses = 6;
  RandomStream random(seed, RandomPurpose::kStep, 0);
  LabeledProbabilities images{kClasses, {}, {}};
  for (int image = 0; image < 2000; ++image) {
    std::vector<double> logits(kClasses);
    for (double& logit : logits) logit = 4 * random.NextFloat();
    double true_sum = 0;
    double sum = 0;
    for (const double logit : logits) true_sum += std::exp(logit);
    for (const double logit : logits) sum += std::exp(sharpness * logit);
    double left = random.NextFloat() * true_sum;
    ClassLabel label = 0;
    while (label + 1U < kClasses && left > std::exp(logits[label])) {
      left -= std::exp(logits[label++]);
    }
    images.labels.push_back(label);
    for (const double logit : logits) {
      images.rows.push_back(static_cast<float>(std::exp(sharpness * logit) / sum));
    }
  }
  return images;
}

TEST(FitTemperatureTest, FindsTheLowestLoss) {
  for (const double sharpness : {0.2, 1.0, 3.0, 12.0}) {
    const LabeledProbabilities images = Drawn(sharpness, 7);
    const double found = FitTemperature(images);
    // A golden-section search in log T.
    double low = std::log(kMinTemperature);
    double high = std::log(kMaxTemperature);
    while (high - low > 1e-7) {
      const double part = 0.381966 * (high - low);
      if (LossAt(std::exp(low + part), images) < LossAt(std::exp(high - part), images)) {
        high -= part;
      } else {
        low += part;
      }
    }
    EXPECT_NEAR(std::log(found), low, 1e-5) << sharpness;
    EXPECT_NEAR(found, sharpness, 0.15 * sharpness) << "the truth, but for the sample";
  }
}

// Gives images of one pixel two thirds for class 0 if the pixel is dark, else for class 1.
class PixelNetwork final : public InferenceNetwork {
 public:
  explicit PixelNetwork(int64_t classes) : InferenceNetwork(OfSize(classes)) {}

  void Run(absl::Span<const PixelSpan> parts, float* probabilities) const override {
    seen += parts.size();
    for (const PixelSpan& part : parts) {
      const bool bright = std::get<absl::Span<const uint8_t>>(part)[0] > 127;
      std::fill_n(probabilities, classes(), static_cast<float>(1 / 3.0 / (classes() - 1.0)));
      probabilities[bright ? 1 : 0] = 2 / 3.0F;
      probabilities += classes();
    }
  }
  int64_t memory_bytes() const override { return 0; }
  Precision precision() const override { return Precision::kFloat32; }
  ComputePath path() const override { return ComputePath::kKernels; }

  mutable std::atomic<size_t> seen = 0;

 private:
  static Architecture OfSize(int64_t classes) {
    Architecture architecture;
    architecture.input = {1, 1, 1};
    architecture.classes = classes;
    return architecture;
  }
};

// Every ninth is of class 1 though it is dark; the others are what they look like.
LabeledImages Pixels(size_t count) {
  std::vector<uint8_t> pixels(count);
  std::vector<ClassLabel> labels(count);
  for (size_t i = 0; i < count; ++i) {
    pixels[i] = i % 2 == 0 ? 255 : 0;
    labels[i] = static_cast<ClassLabel>(i % 9 == 1 ? i % 2 : i % 2 == 0);
  }
  return {pixels, labels};
}

std::vector<int32_t> AllOf(const LabeledImages& images) {
  std::vector<int32_t> all(static_cast<size_t>(images.size()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(CalibrateTest, MeasuresBeforeAndAfter) {
  const PixelNetwork network(2);
  const LabeledImages images = Pixels(900);
  ThreadTeam one(1);
  ThreadTeam three(3);
  const auto calibration = Calibrate(network, images, AllOf(images), 7, one, nullptr);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  // 2 : 1 becomes 8 : 1, as eight of nine are right.
  EXPECT_NEAR(calibration->temperature, 1 / 3.0, 1e-6);
  EXPECT_NEAR(calibration->validation_ece, 8 / 9.0 - 2 / 3.0, 1e-6);
  EXPECT_NEAR(calibration->calibrated_validation_ece, 0, 1e-6);
  const auto again = Calibrate(network, images, AllOf(images), 100, three, nullptr);
  EXPECT_EQ(again->temperature, calibration->temperature);
  EXPECT_EQ(again->calibrated_validation_ece, calibration->calibrated_validation_ece);
}

TEST(CalibrateTest, TakesNoMoreImagesThanItMayHold) {
  constexpr int64_t kClasses = 256;
  const PixelNetwork network(kClasses);
  const LabeledImages images = Pixels(kMaxCalibrationNumbers / kClasses + 1000);
  ThreadTeam team(2);
  ASSERT_TRUE(Calibrate(network, images, AllOf(images), 500, team, nullptr).ok());
  EXPECT_EQ(network.seen, static_cast<size_t>(kMaxCalibrationNumbers / kClasses));
}

TEST(CalibrateTest, EndsWhenAskedTo) {
  const PixelNetwork network(2);
  const LabeledImages images = Pixels(9);
  StopSignal stop;
  stop.Suspend();
  ThreadTeam team(1);
  EXPECT_EQ(ReasonOf(Calibrate(network, images, AllOf(images), 3, team, &stop).status()),
            FailureReason::kCancelled);
}

}  // namespace
}  // namespace atelier::models
