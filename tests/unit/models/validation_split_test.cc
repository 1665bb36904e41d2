#include "models/data/validation_split.h"

#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/training/training_warnings.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One-pixel images of classes as often as `counts` says, class after class.
LabeledImages Images(const std::vector<int64_t>& counts) {
  std::vector<ClassLabel> labels;
  for (size_t c = 0; c < counts.size(); ++c) {
    labels.insert(labels.end(), static_cast<size_t>(counts[c]), static_cast<ClassLabel>(c));
  }
  return {std::vector<uint8_t>(labels.size()), labels};
}

TEST(ValidationSplitTest, HoldsEveryClassBackInProportion) {
  EXPECT_THAT(HeldBackByClass({500, 300, 200}, 100), ElementsAre(50, 30, 20));
  EXPECT_THAT(HeldBackByClass({10, 10, 10}, 4), ElementsAre(2, 1, 1));
  EXPECT_THAT(HeldBackByClass({0, 7, 3}, 5), ElementsAre(0, 4, 1));
}

TEST(ValidationSplitTest, IsTheDatasetsOwnIfItBringsOne) {
  const auto dataset = Dataset::Create({1, 1, 1}, {"a", "b"}, Images({3, 3}), Images({1, 1}),
                                       /*validation_images=*/2);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const ValidationSplit split = SplitOf(**dataset, 4, 7);
  EXPECT_THAT(split.training, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(split.validation, ElementsAre(4, 5));
  TrainingOptions options;
  EXPECT_EQ(options.ValidationImages(**dataset), 2);
}

TEST(ValidationSplitTest, ASmallClassHasAnImageToValidateWith) {
  EXPECT_THAT(HeldBackByClass({990, 8, 2}, 100), ElementsAre(98, 1, 1));
  EXPECT_THAT(HeldBackByClass({20, 30, 2, 2}, 3), ElementsAre(1, 1, 1, 0))
      << "the largest classes where there are fewer images than classes";
}

TEST(ValidationSplitTest, AClassOnlyImageIsTrainedOn) {
  EXPECT_THAT(HeldBackByClass({1, 9, 1}, 5), ElementsAre(0, 5, 0));
  EXPECT_THAT(HeldBackByClass({1, 1}, 1), ElementsAre(1, 0)) << "where there is no other";
}

TEST(ValidationSplitTest, SplitsAllImagesBySeed) {
  const LabeledImages images = Images({500, 40, 2});
  const ValidationSplit split = SplitByClass(images, 3, 54, 7);
  EXPECT_THAT(CountByClass(images, split.validation, 3), ElementsAre(49, 4, 1));
  std::vector<int32_t> all = split.training;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::sort(all.begin(), all.end());
  std::vector<int32_t> expected(542);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
  EXPECT_EQ(SplitByClass(images, 3, 54, 7).training, split.training);
  EXPECT_NE(SplitByClass(images, 3, 54, 8).validation, split.validation);
}

// A tenth of these by chance would hold none of the second class back in a third of the cases.
TEST(ValidationSplitTest, NoSeedMissesAClass) {
  const LabeledImages images = Images({400, 10});
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_THAT(CountByClass(images, SplitByClass(images, 2, 41, seed).validation, 2),
                ElementsAre(40, 1));
  }
}

std::shared_ptr<const Dataset> DatasetOf(const std::vector<int64_t>& counts) {
  std::vector<std::string> names;
  for (size_t c = 0; c < counts.size(); ++c) names.push_back("class " + std::to_string(c));
  return Dataset::Create({1, 1, 1}, names, Images(counts), Images({1})).value();
}

std::vector<std::string> WarningsOf(const std::vector<int64_t>& counts, int64_t held_back,
                                    double training_accuracy, double validation_accuracy) {
  const auto dataset = DatasetOf(counts);
  TrainingOutcome outcome;
  outcome.best_epoch = 1;
  outcome.history.resize(2);
  outcome.history[0].training_accuracy = training_accuracy / 2;
  outcome.history[0].validation_accuracy = validation_accuracy;
  outcome.history[1].training_accuracy = training_accuracy;
  return TrainingWarnings(
      {}, *dataset, SplitByClass(dataset->training(), dataset->classes(), held_back, 1), outcome);
}

TEST(TrainingWarningsTest, NameClassesWithoutImages) {
  EXPECT_THAT(WarningsOf({50, 0, 1, 50}, 10, 0.9, 0.9),
              ElementsAre("One class has no images to train on: class 1.",
                          "2 classes have no images to validate with: class 1, class 2."));
  EXPECT_THAT(WarningsOf({50, 50}, 10, 0.9, 0.9), IsEmpty());
}

TEST(TrainingWarningsTest, SayThatValidationIsAtChance) {
  const std::vector<int64_t> ten(10, 100);
  const auto warnings = WarningsOf(ten, 100, 0.994, 0.16);
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings[0], HasSubstr("99.4 %"));
  EXPECT_THAT(warnings[0], HasSubstr("16.0 %"));
  EXPECT_THAT(warnings[0], HasSubstr("10.0 %"));
  EXPECT_THAT(WarningsOf(ten, 100, 0.994, 0.6), IsEmpty()) << "that is ordinary overfitting";
  EXPECT_THAT(WarningsOf(ten, 100, 0.3, 0.12), IsEmpty()) << "nothing was learned yet";
  // Two classes of very different size: 90 % is chance.
  EXPECT_THAT(WarningsOf({900, 100}, 100, 0.99, 0.9), SizeIs(1));
  EXPECT_THAT(WarningsOf({900, 100}, 100, 0.99, 0.95), IsEmpty());
}

}  // namespace
}  // namespace atelier::models
