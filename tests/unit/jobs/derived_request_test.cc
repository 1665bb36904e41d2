#include "server/jobs/derived_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/recipes.h"

namespace atelier::jobs {
namespace {

v1::TrainingSpec Accepted(v1::Recipe recipe) {
  v1::TrainingSpec spec = DefaultsOf(recipe);
  spec.set_preset("cnn-2");
  spec.set_conv_depth(2);
  spec.mutable_network()->set_name("cnn-2");
  spec.set_model_name("cnn-2");
  spec.set_seed(5);
  spec.set_shards(2);
  spec.set_beta1(0.9);
  return spec;
}

TEST(MergeLikeTest, TakesEverythingButTheSeed) {
  v1::TrainingSpec like = Accepted(v1::RECIPE_BEST);
  like.set_start_from("models/m/versions/3");
  like.set_freeze(1);
  v1::TrainingSpec expected = like;
  expected.clear_seed();
  EXPECT_EQ(MergeLike(like, {}).SerializeAsString(), expected.SerializeAsString());
}

TEST(MergeLikeTest, WhatIsGivenCounts) {
  v1::TrainingSpec given;
  given.set_epochs(7);
  given.set_seed(9);
  const v1::TrainingSpec merged = MergeLike(Accepted(v1::RECIPE_STUDY), given);
  EXPECT_EQ(merged.epochs(), 7);
  EXPECT_EQ(merged.seed(), 9);
  EXPECT_EQ(merged.preset(), "cnn-2");
}

TEST(MergeLikeTest, AnotherRecipeReplacesWhatTheOldOneGave) {
  v1::TrainingSpec like = Accepted(v1::RECIPE_STUDY);
  like.set_dropout(0.5);  // Not the recipe's.
  v1::TrainingSpec given;
  given.set_recipe(v1::RECIPE_BEST);
  const v1::TrainingSpec merged = MergeLike(like, given);
  EXPECT_EQ(merged.dropout(), 0.5);
  EXPECT_FALSE(merged.has_epochs());
  EXPECT_EQ(merged.schedule(), v1::SCHEDULE_UNSPECIFIED);
}

TEST(MergeLikeTest, AnotherOptimizerHasItsOwnDefaults) {
  v1::TrainingSpec given;
  given.set_optimizer(v1::OPTIMIZER_SGD);
  EXPECT_FALSE(MergeLike(Accepted(v1::RECIPE_STUDY), given).has_beta1());
  given.set_optimizer(v1::OPTIMIZER_ADAMW);
  EXPECT_TRUE(MergeLike(Accepted(v1::RECIPE_STUDY), given).has_beta1());
}

TEST(MergeLikeTest, ShardsThatDoNotDivideTheBatchAreChosenAnew) {
  v1::TrainingSpec given;
  given.set_batch_size(63);
  EXPECT_FALSE(MergeLike(Accepted(v1::RECIPE_STUDY), given).has_shards());
  given.set_batch_size(64);
  EXPECT_EQ(MergeLike(Accepted(v1::RECIPE_STUDY), given).shards(), 2);
}

TEST(MergeLikeTest, AnotherNetworkReplacesTheWholeOne) {
  v1::TrainingSpec like = Accepted(v1::RECIPE_STUDY);
  like.set_kernel(5);
  v1::TrainingSpec given;
  given.set_preset("dense");
  const v1::TrainingSpec merged = MergeLike(like, given);
  EXPECT_EQ(merged.preset(), "dense");
  EXPECT_FALSE(merged.has_kernel());
  EXPECT_FALSE(merged.has_conv_depth());
  EXPECT_FALSE(merged.has_network());
  EXPECT_EQ(merged.model_name(), "");
}

TEST(MergeLikeTest, AChangeOfTheNetworkKeepsTheRest) {
  v1::TrainingSpec like = Accepted(v1::RECIPE_STUDY);
  like.add_dense(64);
  v1::TrainingSpec given;
  given.set_kernel(5);
  const v1::TrainingSpec merged = MergeLike(like, given);
  EXPECT_EQ(merged.preset(), "cnn-2");
  EXPECT_EQ(merged.kernel(), 5);
  ASSERT_EQ(merged.dense_size(), 1);
  EXPECT_FALSE(merged.has_network());
}

class MergeContinuedTest : public testing::Test {
 protected:
  MergeContinuedTest() {
    ended_.id = "a";
    ended_.job.set_name("jobs/a");
    *ended_.job.mutable_spec() = Accepted(v1::RECIPE_STUDY);
    ended_.recorded_epoch = 12;
  }
  absl::StatusOr<v1::TrainingSpec> Merge() { return MergeContinued(ended_, request_); }
  std::string Wrong() {
    std::string fields;
    for (const auto& violation : ViolationsOf(Merge().status())) {
      EXPECT_EQ(violation.description.back(), '.') << violation.description;
      absl::StrAppend(&fields, fields.empty() ? "" : " ", violation.field);
    }
    return fields;
  }
  v1::TrainingSpec& spec() { return *request_.mutable_spec(); }
  v1::TrainingSpec& ended() { return *ended_.job.mutable_spec(); }

  JobRecord ended_;
  v1::StartTrainingRequest request_;
};

TEST_F(MergeContinuedTest, GoesOnToTheEpochsOfTheEndedJob) {
  ended().set_start_from("models/m/versions/3");
  const auto merged = Merge();
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->epochs(), 20);
  EXPECT_EQ(merged->seed(), 5);
  EXPECT_EQ(merged->continues(), "jobs/a");
  EXPECT_EQ(merged->start_from(), "");
  EXPECT_EQ(merged->schedule_start_epoch(), 0);
}

TEST_F(MergeContinuedTest, AddsEpochs) {
  request_.set_more_epochs(5);
  EXPECT_EQ(Merge()->epochs(), 17);
  request_.set_more_epochs(0);
  EXPECT_EQ(Wrong(), "more_epochs");
  request_.set_more_epochs(5);
  spec().set_epochs(40);
  EXPECT_EQ(Wrong(), "more_epochs");
}

TEST_F(MergeContinuedTest, NeedsMoreEpochsThanThereWere) {
  spec().set_epochs(12);
  EXPECT_EQ(Wrong(), "spec.epochs");
  ended_.recorded_epoch = 20;
  spec().clear_epochs();
  EXPECT_EQ(Wrong(), "spec.epochs");
}

TEST_F(MergeContinuedTest, APlannedScheduleDoesNotGoOnWithOtherEpochs) {
  ended().set_schedule(v1::SCHEDULE_ONE_CYCLE);
  EXPECT_TRUE(Merge().ok());
  spec().set_epochs(30);
  EXPECT_EQ(Wrong(), "spec.schedule");
  spec().set_learning_rate(0.0001);
  const auto merged = Merge();
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->schedule(), v1::SCHEDULE_ONE_CYCLE);
  EXPECT_EQ(merged->schedule_start_epoch(), 12);
}

TEST_F(MergeContinuedTest, AnotherScheduleForgetsTheOldOnesFields) {
  ended().set_schedule(v1::SCHEDULE_STEP);
  ended().set_step_epochs(4);
  ended().set_step_factor(0.5);
  spec().set_schedule(v1::SCHEDULE_CONSTANT);
  const auto merged = Merge();
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_FALSE(merged->has_step_epochs());
  EXPECT_FALSE(merged->has_step_factor());
  EXPECT_EQ(merged->schedule_start_epoch(), 12);
}

TEST_F(MergeContinuedTest, RefusesWhatCannotChange) {
  spec().set_preset("dense");
  spec().set_seed(1);
  spec().set_batch_size(64);
  spec().set_dataset("other");
  spec().set_patience(9);
  spec().set_freeze(1);
  EXPECT_EQ(Wrong(), "spec.preset spec.dataset spec.batch_size spec.seed");
}

}  // namespace
}  // namespace atelier::jobs
