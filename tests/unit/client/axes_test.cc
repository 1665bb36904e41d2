// What configurations differ in as axes, and accuracy along them.
#include "client/comparing/axes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/comparing/axes_text.h"

namespace atelier::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A completed run with this seed, whose test accuracy is 0.9 and some ten-thousandths.
Trial RunOf(v1::TrainingSpec spec, std::int64_t seed, int more) {
  Trial trial;
  trial.job = absl::StrCat("jobs/", spec.ShortDebugString(), seed);
  trial.state = v1::RUN_STATE_COMPLETED;
  if (!spec.has_network() && spec.preset().empty()) spec.set_preset("cnn-1");
  spec.set_seed(seed);
  trial.spec = std::move(spec);
  trial.result.emplace();
  trial.result->set_test_accuracy(0.9 + more / 1e4);
  return trial;
}

v1::TrainingSpec Kernel(int kernel) {
  v1::TrainingSpec spec;
  spec.set_kernel(kernel);
  return spec;
}

std::vector<std::string> Titles(const Comparison& comparison) {
  std::vector<std::string> titles;
  for (const ComparedAxis& axis : AxesOf(comparison)) titles.push_back(axis.title);
  return titles;
}

TEST(AxesTest, NumbersStandInTheirOrder) {
  const Comparison comparison =
      Compare({RunOf(Kernel(11), 1, 3), RunOf(Kernel(3), 1, 1), RunOf(Kernel(5), 1, 2)});
  const std::vector<ComparedAxis> axes = AxesOf(comparison);
  ASSERT_THAT(axes, SizeIs(1));
  EXPECT_EQ(axes[0].title, "kernel");
  EXPECT_THAT(axes[0].numbers, ElementsAre(3, 5, 11));
  EXPECT_FALSE(axes[0].logarithmic());
  const std::vector<AxisGroup> groups = GroupsAlong(comparison, axes, 0);
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_EQ(groups[0].label, "");
  EXPECT_THAT(groups[0].places, ElementsAre(0, 1, 2));
  EXPECT_EQ(groups[0].configurations[2]->spec.kernel(), 11);
}

TEST(AxesTest, WideSpreadsAreLogarithmic) {
  const auto rate = [](double value) {
    v1::TrainingSpec spec;
    spec.set_learning_rate(value);
    return spec;
  };
  EXPECT_TRUE(
      AxesOf(Compare({RunOf(rate(0.0001), 1, 0), RunOf(rate(0.1), 1, 0)}))[0].logarithmic());
  EXPECT_FALSE(AxesOf(Compare({RunOf(rate(0), 1, 0), RunOf(rate(0.1), 1, 0)}))[0].logarithmic());
}

TEST(AxesTest, ListsAndWordsStandAsTheyCame) {
  const auto with = [](std::vector<int> conv, v1::Activation activation) {
    v1::TrainingSpec spec;
    for (const int filters : conv) spec.add_conv(filters);
    spec.set_activation(activation);
    return spec;
  };
  const Comparison comparison = Compare({
      RunOf(with({64, 128}, v1::ACTIVATION_SILU), 1, 0),
      RunOf(with({32, 64}, v1::ACTIVATION_SILU), 1, 0),
      RunOf(with({64, 128}, v1::ACTIVATION_RELU), 1, 0),
  });
  const std::vector<ComparedAxis> axes = AxesOf(comparison);
  ASSERT_THAT(Titles(comparison), ElementsAre("conv", "activation"));
  EXPECT_THAT(axes[0].values, ElementsAre("64,128", "32,64"));
  EXPECT_FALSE(axes[0].numeric());
  const std::vector<AxisGroup> groups = GroupsAlong(comparison, axes, 0);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[0].label, "activation silu");
  EXPECT_THAT(groups[0].configurations, SizeIs(2));
  EXPECT_THAT(groups[1].configurations, SizeIs(1));
}

TEST(AxesTest, WhatChangesTogetherIsOneAxis) {
  const auto with = [](int batch, double rate) {
    v1::TrainingSpec spec;
    spec.set_batch_size(batch);
    spec.set_learning_rate(rate);
    return spec;
  };
  EXPECT_THAT(Titles(Compare({RunOf(with(64, 0.1), 1, 0), RunOf(with(128, 0.2), 1, 0)})),
              ElementsAre("batch-size, learning-rate"));
  EXPECT_THAT(Titles(Compare({RunOf(with(64, 0.1), 1, 0), RunOf(with(128, 0.2), 1, 0),
                              RunOf(with(128, 0.1), 1, 0)})),
              ElementsAre("batch-size", "learning-rate"));
}

v1::TrainingSpec Own(const std::string& name, int units) {
  v1::TrainingSpec spec;
  spec.mutable_network()->set_name(name);
  spec.mutable_network()->add_layers()->mutable_dense()->set_units(units);
  return spec;
}

TEST(AxesTest, NetworksAreOneAxisWhateverTheyComeFrom) {
  const Comparison comparison =
      Compare({RunOf(Own("mine", 4), 1, 0), RunOf(Own("mine", 8), 1, 0),
               RunOf(Own("other", 4), 1, 0), RunOf({}, 1, 0), RunOf(Own("mine", 8), 2, 0)});
  const std::vector<ComparedAxis> axes = AxesOf(comparison);
  ASSERT_THAT(axes, SizeIs(1));
  EXPECT_EQ(axes[0].title, "network");
  EXPECT_THAT(axes[0].values, ElementsAre("mine", "mine (2)", "other", "cnn-1"));
  EXPECT_EQ(LabelOf(comparison, comparison.configurations[1]), "mine (2)");
}

TEST(AxesTest, WhatHasNoResultOrNoSpecificationIsLeftOut) {
  Trial waiting = RunOf(Kernel(5), 1, 0);
  waiting.state = v1::RUN_STATE_WAITING;
  waiting.result.reset();
  const Comparison comparison =
      Compare({MissingTrial("jobs/gone"), RunOf(Kernel(3), 1, 0), waiting, RunOf(Kernel(7), 1, 0)});
  const std::vector<ComparedAxis> axes = AxesOf(comparison);
  ASSERT_THAT(axes, SizeIs(1));
  EXPECT_THAT(GroupsAlong(comparison, axes, 0)[0].places, ElementsAre(0, 2));
}

TEST(AxesTextTest, DrawsABarForEachValueInOrder) {
  const std::string text =
      AxesText(Compare({RunOf(Kernel(7), 1, 40), RunOf(Kernel(3), 1, 10), RunOf(Kernel(3), 2, 30)}),
               Style(false), 100);
  EXPECT_THAT(text, HasSubstr("Accuracy by kernel"));
  EXPECT_LT(text.find("90.20 % ± 0.14"), text.find("90.40 %"));
  EXPECT_THAT(text, HasSubstr("▒"));
  EXPECT_THAT(text, HasSubstr("Bars run from 89.9 % to 90.4 %"));
}

TEST(AxesTextTest, SaysNothingWhereNothingIsCompared) {
  EXPECT_THAT(
      AxesText(Compare({RunOf(Kernel(7), 1, 40), RunOf(Kernel(7), 2, 10)}), Style(false), 100),
      IsEmpty());
}

TEST(AxesTextTest, GroupsByTheOtherAxes) {
  std::vector<Trial> trials;
  for (const int kernel : {3, 5}) {
    for (const int batch : {64, 128}) {
      v1::TrainingSpec spec = Kernel(kernel);
      spec.set_batch_size(batch);
      trials.push_back(RunOf(spec, 1, kernel + batch));
    }
  }
  const std::string text = AxesText(Compare(trials), Style(false), 100);
  EXPECT_THAT(text, HasSubstr("Accuracy by batch-size"));
  EXPECT_THAT(text, HasSubstr("Accuracy by kernel"));
  EXPECT_THAT(text, HasSubstr("batch-size 128"));
}

}  // namespace
}  // namespace atelier::client
