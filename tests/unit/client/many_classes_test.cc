// What is shown of data sets and results of many classes: the worst, and how much was left out.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "client/commands/dataset_text.h"
#include "client/comparing/confusion_text.h"
#include "client/report/confusion_map.h"
#include "client/terminal/display_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int Lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

// Ten images a class. Class i is taken for class i + 1, i mod 7 times; the higher, the worse F1.
v1::ConfusionMatrix MatrixOf(int classes) {
  v1::ConfusionMatrix matrix;
  matrix.set_job("jobs/night-1");
  for (int i = 0; i < classes; ++i) {
    matrix.add_class_names(absl::StrCat("class-", i));
    v1::ConfusionRow* const row = matrix.add_rows();
    for (int j = 0; j < classes; ++j) row->add_counts(0);
    row->set_counts(i, 10 - i % 7);
    if (i + 1 < classes) row->set_counts(i + 1, i % 7);
    v1::ClassMetrics* const metrics = matrix.add_class_metrics();
    metrics->set_f1(1 - i / static_cast<double>(classes));
    metrics->set_support(10);
  }
  return matrix;
}

TEST(ManyClassesTest, ConfusionShowsTheWorstAndHowManyAreLeftOut) {
  const std::string text = ConfusionText(MatrixOf(1000), Style(false), 100);
  EXPECT_LT(Lines(text), 70);
  EXPECT_THAT(text, HasSubstr("The matrix of 1,000 classes is too large to read; --output=csv"));
  EXPECT_THAT(text, HasSubstr("The 30 classes of the lowest F1; 970 are left out, --classes"));
  EXPECT_LT(text.find("class-999 "), text.find("class-998 "));
  EXPECT_THAT(text, Not(HasSubstr("class-969 ")));
  EXPECT_THAT(text, HasSubstr("class-6 → class-7"));
  EXPECT_THAT(text, HasSubstr("and 836 further pairs."));
}

TEST(ManyClassesTest, ThirtyClassesAreShownWhole) {
  const std::string text = ConfusionText(MatrixOf(30), Style(false), 200);
  EXPECT_THAT(text, Not(HasSubstr("left out")));
  EXPECT_THAT(text, HasSubstr("One row per true class"));
  for (int i = 0; i < 30; ++i) EXPECT_THAT(text, HasSubstr(absl::StrCat("class-", i, " ")));
}

TEST(ManyClassesTest, EveryClassIsAskedFor) {
  const v1::ConfusionMatrix matrix = MatrixOf(1000);
  EXPECT_EQ(Lines(AllClassesText(matrix, Style(false), 100)), 1 + 1000 + 2);
  const std::string csv = AllClassesCsv(matrix);
  EXPECT_EQ(Lines(csv), 1001);
  EXPECT_THAT(csv, HasSubstr("\nclass-500,0,0,0.5,10\n"));
  EXPECT_EQ(Lines(ConfusionCsv(matrix)), 1001);
}

TEST(ManyClassesTest, ConfusionsComeMostFrequentFirst) {
  const auto confusions = WorstConfusions(MatrixOf(8));
  ASSERT_EQ(confusions.size(), 6U);
  EXPECT_EQ(confusions[0].true_class, 6);
  EXPECT_EQ(confusions[0].predicted_class, 7);
  EXPECT_EQ(confusions[0].count, 6);
  EXPECT_EQ(confusions[0].support, 10);
}

TEST(ManyClassesTest, TheReportDrawsBlocksOfBoundedSize) {
  const std::string few = report::ConfusionMap(MatrixOf(30));
  EXPECT_THAT(few, HasSubstr("<rect data-series=\"cells\""));
  const std::string some = report::ConfusionMap(MatrixOf(200));
  EXPECT_THAT(some, HasSubstr("viewBox=\"0 0 200 200\""));
  EXPECT_THAT(some, HasSubstr("A dot is a pair of classes"));
  EXPECT_THAT(some, Not(HasSubstr("<rect")));
  // The diagonal of class 0, of which all ten images are right, in the darkest shade.
  EXPECT_THAT(some, HasSubstr("rgba(var(--heat),1.00)\" d=\"M0 0.5h1"));
  v1::ConfusionMatrix worst = MatrixOf(1000);
  for (int i = 0; i < 1000; ++i) {
    for (int j = 0; j < 1000; ++j)
      worst.mutable_rows(i)->set_counts(j, (i / 5 + j / 5) % 2 * 99 + 1);
  }
  const std::string many = report::ConfusionMap(worst);
  EXPECT_THAT(many, HasSubstr("viewBox=\"0 0 200 200\""));
  EXPECT_THAT(many, HasSubstr("A dot is 5×5 pairs of classes"));
  EXPECT_LT(many.size(), 600'000U);
}

v1::Dataset DatasetOf(int classes) {
  v1::Dataset dataset;
  dataset.set_name("datasets/glyphs/versions/1");
  for (int i = 0; i < classes; ++i) {
    dataset.add_class_names(absl::StrCat("class-", i));
    v1::ClassCounts* const counts = dataset.add_class_counts();
    counts->set_training_images(10 + (i * 7) % classes);
    counts->set_test_images(2);
  }
  return dataset;
}

TEST(ManyClassesTest, DataSetsShowTheSmallestClasses) {
  const std::string text = DatasetText(DatasetOf(1000), false, Style(false), 100);
  EXPECT_LT(Lines(text), 50);
  EXPECT_THAT(text, HasSubstr("The 30 smallest of 1,000 classes; --classes shows all."));
  EXPECT_LT(text.find("class-0 "), text.find("class-143 "));
  EXPECT_EQ(Lines(DatasetText(DatasetOf(1000), true, Style(false), 100)), Lines(text) + 970 - 1);
  const std::string csv = DatasetClassesCsv(DatasetOf(1000));
  EXPECT_EQ(Lines(csv), 1001);
  EXPECT_THAT(csv, HasSubstr("\nclass-1,17,0,2\n"));
  EXPECT_THAT(DatasetText(DatasetOf(30), false, Style(false), 100), Not(HasSubstr("smallest")));
}

TEST(ManyClassesTest, ListsOfNamesEnd) {
  EXPECT_EQ(NameList(DatasetOf(3).class_names()), "class-0, class-1, class-2");
  EXPECT_THAT(NameList(DatasetOf(1000).class_names()), HasSubstr("class-29 and 970 more"));
}

}  // namespace
}  // namespace atelier::client
