#include "models/training/label_check.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr ImageShape kShape = {1, 8, 8};

// Images of two classes: bright above or bright below, no two alike.
LabeledImages Halves(int64_t count) {
  std::vector<uint8_t> pixels;
  std::vector<ClassLabel> labels;
  for (int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<ClassLabel>(i % 2);
    labels.push_back(label);
    for (int64_t p = 0; p < 64; ++p) {
      const bool bright = (p < 32) == (label == 0);
      pixels.push_back(static_cast<uint8_t>((bright ? 180 : 20) + (i * 7 + p * 13 + i * p) % 40));
    }
  }
  return {std::move(pixels), std::move(labels)};
}

LabeledImages WithLabels(const LabeledImages& images, std::vector<ClassLabel> labels) {
  return {images.pixels, std::move(labels)};
}

TEST(LabelCheckTest, FoldsAreEquallyLargeAndHaveEveryClassInProportion) {
  std::vector<ClassLabel> labels;
  for (int i = 0; i < 103; ++i) labels.push_back(i < 70 ? 0 : i < 100 ? 1 : 2);
  const LabeledImages images{std::vector<uint8_t>(), labels};
  const std::vector<int64_t> folds = DivideIntoFolds(images, 3, 5, 1);
  for (int64_t fold = 0; fold < 5; ++fold) {
    int64_t all = 0;
    int64_t first = 0;
    for (size_t i = 0; i < folds.size(); ++i) {
      all += folds[i] == fold;
      first += folds[i] == fold && labels[i] == 0;
    }
    EXPECT_NEAR(static_cast<double>(all), 103 / 5.0, 1);
    EXPECT_EQ(first, 14);
  }
  EXPECT_EQ(folds, DivideIntoFolds(images, 3, 5, 1)) << "the seed decides";
  EXPECT_NE(folds, DivideIntoFolds(images, 3, 5, 2));
}

TEST(LabelCheckTest, ALabelIsSuspiciousIfAnotherClassReachesItsThreshold) {
  const LabeledImages images{std::vector<uint8_t>(), std::vector<ClassLabel>{0, 0, 0, 1, 1, 1}};
  // Mean self-confidence: 0.6 of class 0, 0.5333 of class 1.
  const std::vector<float> probabilities = {0.9F, 0.1F, 0.8F, 0.2F, 0.1F, 0.9F,
                                            0.4F, 0.6F, 0.3F, 0.7F, 0.7F, 0.3F};
  const LabelCheck check = FindSuspiciousLabels(images, 2, probabilities);
  ASSERT_EQ(check.suspicious.size(), 2);
  EXPECT_EQ(check.suspicious[0].index, 2) << "the largest margin first";
  EXPECT_EQ(check.suspicious[0].true_class, 0);
  EXPECT_EQ(check.suspicious[0].predicted_class, 1);
  EXPECT_FLOAT_EQ(check.suspicious[0].probability, 0.9F);
  EXPECT_FLOAT_EQ(check.suspicious[0].true_probability, 0.1F);
  EXPECT_EQ(check.suspicious[1].index, 5);
  EXPECT_DOUBLE_EQ(check.agreement, 4 / 6.0);
  EXPECT_EQ(check.confusion, (std::vector<std::vector<int64_t>>{{2, 1}, {1, 2}}));
}

TEST(LabelCheckTest, AGuessBelowItsClassThresholdIsNotSuspicious) {
  const LabeledImages images{std::vector<uint8_t>(), std::vector<ClassLabel>{0, 0, 1, 1}};
  // Class 1 is told with 0.95 where it is: 0.55 is not sure enough.
  const std::vector<float> probabilities = {0.45F, 0.55F, 0.9F, 0.1F, 0.05F, 0.95F, 0.05F, 0.95F};
  EXPECT_TRUE(FindSuspiciousLabels(images, 2, probabilities).suspicious.empty());
}

TEST(LabelCheckTest, NothingIsSaidOfTheOnlyImageOfAClass) {
  const LabeledImages images{std::vector<uint8_t>(), std::vector<ClassLabel>{0, 0, 1}};
  const std::vector<float> probabilities = {0.9F, 0.1F, 0.9F, 0.1F, 0.99F, 0.01F};
  EXPECT_TRUE(FindSuspiciousLabels(images, 2, probabilities).suspicious.empty());
}

TEST(LabelCheckTest, FindsLabelsThatWereChanged) {
  LabeledImages images = Halves(400);
  std::vector<ClassLabel> labels(images.labels.begin(), images.labels.end());
  const std::set<int64_t> changed = {3, 50, 111, 200, 399};
  for (const int64_t i : changed) labels[static_cast<size_t>(i)] ^= 1;
  images = WithLabels(images, labels);
  LabelCheckOptions options;
  int64_t last = 0;
  int64_t all = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_LE(last, done);
    EXPECT_LE(done, total);
    last = done;
    all = total;
  };
  const auto check = CheckLabels(images, kShape, {"above", "below"}, options);
  ASSERT_TRUE(check.ok()) << check.status();
  ASSERT_GE(check->suspicious.size(), changed.size());
  std::set<int64_t> found;
  for (size_t i = 0; i < changed.size(); ++i) found.insert(check->suspicious[i].index);
  EXPECT_EQ(found, changed);
  EXPECT_EQ(last, all) << "progress reaches its end";

  LabelCheckOptions more_threads = options;
  more_threads.progress = {};
  const auto again = CheckLabels(images, kShape, {"above", "below"}, more_threads);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->agreement, check->agreement) << "the seed decides";
}

TEST(LabelCheckTest, TakesTheFewestImagesThereMayBe) {
  LabelCheckOptions options;
  options.folds = 4;
  EXPECT_TRUE(CheckLabels(Halves(4), kShape, {"above", "below"}, options).ok());
  options.folds = 2;
  EXPECT_TRUE(CheckLabels(Halves(4), kShape, {"above", "below"}, options).ok());
}

TEST(LabelCheckTest, EndsWhenAsked) {
  StopSignal stop;
  stop.Stop();
  LabelCheckOptions options;
  options.stop = &stop;
  const auto check = CheckLabels(Halves(40), kShape, {"above", "below"}, options);
  EXPECT_EQ(ReasonOf(check.status()), FailureReason::kCancelled);
}

}  // namespace
}  // namespace atelier::models
