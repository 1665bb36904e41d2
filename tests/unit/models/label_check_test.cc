#include "models/training/label_check.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "tests/unit/models/temporary_folder.h"

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

// Stops a check once so many of its images have passed.
absl::StatusOr<LabelCheck> CheckUntil(double share, LabelCheckOptions options) {
  StopSignal stop;
  options.stop = &stop;
  options.progress = [&](int64_t done, int64_t total) {
    if (static_cast<double>(done) > share * static_cast<double>(total)) stop.Stop();
  };
  return CheckLabels(Halves(200), kShape, {"above", "below"}, options);
}

std::vector<int64_t> IndicesOf(const LabelCheck& check) {
  std::vector<int64_t> indices;
  for (const Prediction& found : check.suspicious) indices.push_back(found.index);
  return indices;
}

TEST(LabelCheckTest, GoesOnWithTheFoldsThatAreLeft) {
  const TemporaryFolder first;
  const TemporaryFolder second;
  LabelCheckOptions options;
  options.folders = {first.path()};
  ASSERT_EQ(ReasonOf(CheckUntil(0.5, options).status()), FailureReason::kCancelled);

  std::vector<std::string> told;
  options.folders = {second.path(), first.path()};
  options.log = [&](const std::string& sentence) { told.push_back(sentence); };
  const auto resumed = CheckLabels(Halves(200), kShape, {"above", "below"}, options);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_THAT(told, testing::ElementsAre("Fold 1 of 5 was done by an earlier attempt.",
                                         "Fold 2 of 5 was done by an earlier attempt."));
  const auto whole = CheckLabels(Halves(200), kShape, {"above", "below"}, {});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(resumed->agreement, whole->agreement);
  EXPECT_EQ(resumed->confusion, whole->confusion);
  EXPECT_EQ(IndicesOf(*resumed), IndicesOf(*whole));
}

TEST(LabelCheckTest, TakesNoFoldOfOtherOptionsOrThatIsDamaged) {
  const TemporaryFolder folder;
  int taken = 0;
  LabelCheckOptions options;
  options.folds = 2;
  options.folders = {folder.path()};
  options.log = [&](const std::string&) { ++taken; };
  const auto run = [&](const LabeledImages& images) {
    taken = 0;
    EXPECT_TRUE(CheckLabels(images, kShape, {"above", "below"}, options).ok());
    return taken;
  };
  const LabeledImages images = Halves(40);
  EXPECT_EQ(run(images), 0);
  EXPECT_EQ(run(images), 2);
  options.seed = 1;
  EXPECT_EQ(run(images), 0);
  std::vector<ClassLabel> labels(images.labels.begin(), images.labels.end());
  labels[7] ^= 1;
  EXPECT_EQ(run(WithLabels(images, labels)), 0);
  for (const char* fold : {"/fold-0", "/fold-1"}) {
    std::fstream file(folder.path() + fold, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file.put('x');
  }
  EXPECT_EQ(run(WithLabels(images, labels)), 0);
}

TEST(LabelCheckTest, AFoldThatCannotBeKeptIsToldAndHarmsNothing) {
  std::vector<std::string> told;
  LabelCheckOptions options;
  options.folds = 2;
  options.folders = {"/nowhere"};
  options.log = [&](const std::string& sentence) { told.push_back(sentence); };
  EXPECT_TRUE(CheckLabels(Halves(40), kShape, {"above", "below"}, options).ok());
  ASSERT_EQ(told.size(), 2);
  EXPECT_THAT(told[0], testing::HasSubstr("/nowhere"));
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
