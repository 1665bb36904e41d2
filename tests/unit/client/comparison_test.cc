// Comparisons: trials of one configuration, their figures, and what they recommend.
#include "client/comparing/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/comparing/comparison_text.h"
#include "client/following/experiment_follower.h"

namespace atelier::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Trial Completed(const std::string& preset, std::int64_t seed, double accuracy, std::int64_t size) {
  Trial trial;
  trial.job = absl::StrCat("jobs/", preset, "-", seed);
  trial.state = v1::RUN_STATE_COMPLETED;
  trial.spec.set_preset(preset);
  trial.spec.set_dataset("shoes");
  trial.spec.set_model_name(preset);
  trial.spec.set_seed(seed);
  trial.result.emplace();
  trial.result->set_validation_accuracy(accuracy);
  trial.result->set_test_accuracy(accuracy - 0.01);
  trial.result->set_parameter_count(size);
  trial.result->set_best_epoch(4);
  trial.result->set_training_seconds(30);
  return trial;
}

Comparison Depths() {
  return Compare({Completed("dense", 1, 0.880, 100), Completed("cnn-1", 1, 0.899, 200),
                  Completed("cnn-2", 1, 0.890, 400), Completed("dense", 2, 0.882, 100),
                  Completed("cnn-1", 2, 0.903, 200), Completed("cnn-2", 2, 0.914, 400)});
}

TEST(ComparisonTest, TrialsThatDifferInTheSeedAloneAreOneConfiguration) {
  const Comparison comparison = Depths();
  ASSERT_THAT(comparison.configurations, SizeIs(3));
  EXPECT_EQ(comparison.trials(), 6);
  const Sample sample = comparison.configurations[2].Of(&v1::TrainingResult::validation_accuracy);
  EXPECT_EQ(sample.count, 2);
  EXPECT_DOUBLE_EQ(sample.mean, 0.902);
  EXPECT_NEAR(sample.deviation, 0.016971, 1e-6);
  EXPECT_NEAR(sample.StandardError(), 0.012, 1e-9);
  ASSERT_THAT(comparison.differing, SizeIs(1));
  EXPECT_EQ(TitleOf(comparison.differing[0]), "preset");
  EXPECT_EQ(LabelOf(comparison, comparison.configurations[1]), "cnn-1");
}

TEST(ComparisonTest, RecommendsTheCheapestWithinOneStandardErrorOfTheBest) {
  const Comparison comparison = Depths();
  const Recommendation found = Recommend(comparison);
  EXPECT_EQ(found.best->spec.preset(), "cnn-2");
  EXPECT_EQ(found.cheapest->spec.preset(), "cnn-1");
  const std::string text = RecommendationText(comparison);
  EXPECT_THAT(text, HasSubstr("Best on the validation images: cnn-2 (validation 90.20 %"));
  EXPECT_THAT(text, HasSubstr("one standard error (1.20 %) of it: cnn-1"));
}

TEST(ComparisonTest, TheBestTrialIsTheBestOfTheBestConfiguration) {
  const Comparison comparison = Depths();
  const Trial* const best = BestTrial(comparison);
  ASSERT_NE(best, nullptr);
  EXPECT_EQ(best->spec.preset(), "cnn-2");
  EXPECT_EQ(best->spec.seed(), 2);
  // One seed of another configuration is better than each of the best one, its mean is not.
  const Comparison spread =
      Compare({Completed("dense", 1, 0.95, 100), Completed("dense", 2, 0.5, 100),
               Completed("cnn-1", 1, 0.9, 200)});
  EXPECT_EQ(BestTrial(spread)->spec.preset(), "cnn-1");
  EXPECT_EQ(BestTrial(Compare({})), nullptr);
}

TEST(ComparisonTest, OneSeedHasNoStandardError) {
  const Comparison comparison =
      Compare({Completed("dense", 1, 0.88, 100), Completed("cnn-1", 1, 0.9, 200)});
  EXPECT_EQ(Recommend(comparison).cheapest, Recommend(comparison).best);
  EXPECT_THAT(RecommendationText(comparison), HasSubstr("only one seed"));
}

TEST(ComparisonTest, NothingThatEndedRecommendsNothing) {
  Trial waiting = Completed("dense", 1, 0, 0);
  waiting.state = v1::RUN_STATE_WAITING;
  waiting.result.reset();
  EXPECT_EQ(Recommend(Compare({waiting})).best, nullptr);
  EXPECT_EQ(RecommendationText(Compare({waiting})), "");
}

TEST(ComparisonTest, StoppedTrialsCountOnlyWhereNoneCompleted) {
  Trial stopped = Completed("dense", 2, 0.5, 100);
  stopped.state = v1::RUN_STATE_STOPPED;
  const Comparison with = Compare({Completed("dense", 1, 0.88, 100), stopped});
  EXPECT_EQ(with.configurations[0].Of(&v1::TrainingResult::validation_accuracy).mean, 0.88);
  const Comparison alone = Compare({stopped});
  EXPECT_TRUE(alone.configurations[0].HasOnlyStopped());
  EXPECT_THAT(ComparisonText(alone, Style(false), 200), HasSubstr("was stopped early"));
}

TEST(ComparisonTextTest, ShowsFiguresWhatDiffersAndWhatWentWrong) {
  Trial failed = Completed("cnn-2", 3, 0, 0);
  failed.state = v1::RUN_STATE_FAILED;
  failed.result.reset();
  failed.message = "The loss diverged.";
  failed.spec.set_dropout(0.9);
  Trial fine = Completed("cnn-2", 3, 0.9, 400);
  fine.spec.set_dropout(0.1);
  const std::string text =
      ComparisonText(Compare({failed, fine, MissingTrial("jobs/gone")}), Style(false), 300);
  EXPECT_THAT(text, HasSubstr("dropout"));
  EXPECT_THAT(text, HasSubstr("cnn-2    0.9      0 of 1, 1 failed"));
  EXPECT_THAT(text, HasSubstr("failed. The loss diverged."));
  EXPECT_THAT(text, HasSubstr("gone: deleted."));
  EXPECT_THAT(text, HasSubstr("89.00 %"));
}

TEST(ComparisonTextTest, SaysThatDataSetsDiffer) {
  Trial other = Completed("cnn-1", 1, 0.9, 200);
  other.spec.set_dataset("hats");
  const Comparison comparison = Compare({Completed("cnn-1", 1, 0.9, 200), other});
  EXPECT_THAT(comparison.datasets, ElementsAre("hats", "shoes"));
  EXPECT_THAT(ComparisonText(comparison, Style(false), 300),
              HasSubstr("Different data sets (hats, shoes)"));
  EXPECT_EQ(Recommend(comparison).best, nullptr);
}

TEST(ComparisonTextTest, SaysThatADataSetChanged) {
  Trial before = Completed("cnn-1", 1, 0.9, 200);
  Trial after = Completed("cnn-2", 1, 0.9, 200);
  before.result->set_dataset_checksum("aa");
  EXPECT_EQ(DataWarning(Compare({before, after})), "");  // Of the other nothing is known.
  after.result->set_dataset_checksum("bb");
  const Comparison comparison = Compare({before, after});
  EXPECT_THAT(ComparisonText(comparison, Style(false), 300),
              HasSubstr("The content of shoes changed between these runs"));
  EXPECT_EQ(Recommend(comparison).best, nullptr);
  after.result->set_dataset_checksum("aa");
  EXPECT_EQ(DataWarning(Compare({before, after})), "");
}

TEST(ComparisonTextTest, CsvAndJsonHaveARowForEachConfiguration) {
  const Comparison comparison = Depths();
  const std::vector<std::string> rows = absl::StrSplit(ComparisonCsv(comparison), '\n');
  ASSERT_THAT(rows, SizeIs(5));  // Titles, three rows, the end.
  EXPECT_THAT(rows[0], HasSubstr("test_accuracy,test_accuracy_sd"));
  const std::vector<std::string> objects = absl::StrSplit(ComparisonJson(comparison), '\n');
  ASSERT_THAT(objects, SizeIs(4));
  EXPECT_THAT(objects[2], HasSubstr("\"validation_accuracy\":0.902"));
  EXPECT_THAT(objects[2], HasSubstr("\"preset\":\"cnn-2\""));
}

TEST(ComparisonTextTest, FiguresThatWereNotRecordedCountForNothing) {
  Trial before = Completed("dense", 1, 0.88, 100);
  Trial after = Completed("dense", 2, 0.88, 100);
  after.result->set_test_macro_f1(0.75);
  after.result->set_test_ece(0.0325);
  after.result->set_temperature(1.5);
  const Comparison comparison = Compare({before, after});
  const auto json = nlohmann::json::parse(ComparisonJson(comparison));
  EXPECT_EQ(json["test_macro_f1"], 0.75);
  EXPECT_FALSE(json.contains("test_macro_f1_sd"));
  EXPECT_EQ(json["temperature"], 1.5);
  EXPECT_FALSE(json.contains("test_top5_accuracy"));
  EXPECT_THAT(ComparisonCsv(comparison), HasSubstr("test_ece,test_ece_sd"));
  EXPECT_THAT(ComparisonText(comparison, Style(false), 200), HasSubstr("75.00 %  3.25 %"));
}

TEST(ComparisonTextTest, NumbersAreNumbersForPrograms) {
  Trial trial = Completed("dense", (std::int64_t{1} << 62) + 1, 0.88, 100);
  trial.spec.set_memory_bytes(std::int64_t{2} << 30);
  trial.spec.set_learning_rate(0.0001);
  trial.spec.set_horizontal_flip(false);
  trial.spec.set_recipe(v1::RECIPE_STUDY);
  const Comparison comparison = Compare({trial});
  const auto json = nlohmann::json::parse(ComparisonJson(comparison));
  const auto& spec = json["spec"];
  EXPECT_EQ(spec["memory_bytes"], std::int64_t{2} << 30);
  EXPECT_EQ(spec["learning_rate"], 0.0001);
  EXPECT_EQ(spec["horizontal_flip"], false);
  EXPECT_EQ(spec["recipe"], "study");
  EXPECT_EQ(spec["preset"], "dense");
  EXPECT_TRUE(spec.contains("epochs") && spec["epochs"].is_null());
  EXPECT_EQ(spec["priority"], 0);
  EXPECT_EQ(json["trials"][0]["seed"], (std::int64_t{1} << 62) + 1);
  EXPECT_EQ(json["parameter_count"], 100);
  EXPECT_THAT(ComparisonCsv(comparison), HasSubstr(",2147483648,"));
  // People read, and type, the unit.
  EXPECT_THAT(TrainOptions(trial.spec), HasSubstr("--memory=2GiB"));
}

TEST(ComparisonTextTest, ASeedThatWasTrainedTwiceIsOneMeasurement) {
  Trial again = Completed("dense", 1, 0.880, 100);
  again.job = "jobs/dense-again";
  const Comparison comparison =
      Compare({Completed("dense", 1, 0.880, 100), again, Completed("dense", 2, 0.890, 100)});
  const Sample sample = comparison.configurations[0].Of(&v1::TrainingResult::validation_accuracy);
  EXPECT_EQ(sample.count, 2);
  EXPECT_DOUBLE_EQ(sample.mean, 0.885);
  EXPECT_THAT(ComparisonText(comparison, Style(false), 200),
              HasSubstr("dense: seed 1 was trained more than once and counts once."));
  const Comparison same = Compare({Completed("dense", 1, 0.880, 100), again});
  EXPECT_THAT(ComparisonText(same, Style(false), 200), Not(HasSubstr("±")));
}

TEST(ComparisonTextTest, ProgressShowsWhatTrainsNow) {
  Trial running = Completed("dense", 2, 0, 0);
  running.state = v1::RUN_STATE_RUNNING;
  running.result.reset();
  running.spec.set_epochs(20);
  running.latest_epoch.emplace();
  running.latest_epoch->set_epoch(3);
  running.latest_epoch->set_validation_accuracy(0.876);
  Trial done = Completed("dense", 1, 0.88, 100);
  done.spec.set_epochs(20);
  const std::string text = ProgressTable(Compare({done, running})).Render(Style(false), 200);
  EXPECT_THAT(text, HasSubstr("1 of 2, 1 running"));
  EXPECT_THAT(text, HasSubstr("seed 2 epoch 3/20 87.6 %"));
}

TEST(ApplyUpdateTest, ReplacesWhatIsNamedAndKeepsTheRest) {
  v1::ExperimentUpdate first;
  first.mutable_experiment()->set_state(v1::EXPERIMENT_STATE_RUNNING);
  first.mutable_experiment()->add_seeds(5);
  first.mutable_experiment()->add_configurations()->set_preset("dense");
  for (int i = 0; i < 3; ++i) {
    first.mutable_experiment()->add_runs()->set_index(i);
    first.mutable_experiment()->mutable_runs(i)->set_state(v1::RUN_STATE_WAITING);
  }
  v1::Experiment experiment;
  ApplyUpdate(first, &experiment);
  v1::ExperimentUpdate second;
  second.mutable_experiment()->set_state(v1::EXPERIMENT_STATE_STOPPING);
  auto* const run = second.mutable_experiment()->add_runs();
  run->set_index(1);
  run->set_state(v1::RUN_STATE_RUNNING);
  ApplyUpdate(second, &experiment);
  EXPECT_EQ(experiment.state(), v1::EXPERIMENT_STATE_STOPPING);
  EXPECT_THAT(experiment.seeds(), ElementsAre(5));
  EXPECT_THAT(experiment.configurations(), Not(IsEmpty()));
  ASSERT_THAT(experiment.runs(), SizeIs(3));
  EXPECT_EQ(experiment.runs(1).state(), v1::RUN_STATE_RUNNING);
  EXPECT_EQ(experiment.runs(2).state(), v1::RUN_STATE_WAITING);
}

}  // namespace
}  // namespace atelier::client
