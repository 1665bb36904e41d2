#include "models/training/evaluation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::models {
namespace {

TEST(ClassMetricsTest, FollowTheirDefinitions) {
  // Class 2 is never predicted, class 3 never occurs.
  const std::vector<ClassMetrics> metrics =
      ClassMetricsOf({{6, 2, 0, 0}, {1, 9, 0, 0}, {3, 1, 0, 1}, {0, 0, 0, 0}});
  ASSERT_EQ(metrics.size(), 4U);
  EXPECT_DOUBLE_EQ(metrics[0].precision, 0.6);
  EXPECT_DOUBLE_EQ(metrics[0].recall, 0.75);
  EXPECT_DOUBLE_EQ(metrics[0].f1, 2 * 0.6 * 0.75 / 1.35);
  EXPECT_EQ(metrics[0].support, 8);
  EXPECT_DOUBLE_EQ(metrics[1].precision, 0.75);
  EXPECT_DOUBLE_EQ(metrics[1].recall, 0.9);
  EXPECT_EQ(metrics[2].precision, 0);
  EXPECT_EQ(metrics[2].recall, 0);
  EXPECT_EQ(metrics[2].f1, 0);
  EXPECT_EQ(metrics[2].support, 5);
  EXPECT_EQ(metrics[3].support, 0);
  EXPECT_EQ(metrics[3].recall, 0);
}

TEST(SortPredictionsTest, PutsTheMostConfidentlyWrongFirst) {
  std::vector<Prediction> predictions = {{0, 1, 1, 0.9F, 0.9F},
                                         {1, 1, 2, 0.6F, 0.3F},
                                         {2, 0, 0, 0.5F, 0.5F},
                                         {3, 4, 2, 0.9F, 0.0F},
                                         {4, 5, 1, 0.6F, 0.1F}};
  SortPredictions(predictions);
  std::vector<int64_t> order;
  for (const Prediction& prediction : predictions) order.push_back(prediction.index);
  EXPECT_THAT(order, testing::ElementsAre(3, 1, 4, 2, 0));
}

}  // namespace
}  // namespace atelier::models
