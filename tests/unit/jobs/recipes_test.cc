#include "server/jobs/recipes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace atelier::jobs {
namespace {

using google::protobuf::FieldDescriptor;

TEST(RecipesTest, HaveOneRowForEachValueOfTheEnumeration) {
  const auto* const type = v1::Recipe_descriptor();
  ASSERT_EQ(static_cast<int>(Recipes().size()), type->value_count() - 1);
  std::set<std::string> descriptions;
  for (std::size_t i = 0; i < Recipes().size(); ++i) {
    EXPECT_EQ(static_cast<int>(Recipes()[i].recipe()),
              type->value(static_cast<int>(i) + 1)->number());
    EXPECT_EQ(Recipes()[i].defaults().recipe(), Recipes()[i].recipe());
    descriptions.insert(Recipes()[i].description());
  }
  EXPECT_EQ(descriptions.size(), Recipes().size());
}

// A new field is either in the table or depends on the request or the server. An optimiser's and a
// schedule's own fields depend on which one is asked for.
TEST(RecipesTest, GiveEveryFieldThatDependsNeitherOnTheRequestNorOnTheServer) {
  const std::set<std::string> others = {
      "preset",     "conv_depth", "network",      "conv",
      "kernel",     "pool",       "pooling",      "activation",
      "batch_norm", "dense",      "residual",     "seed",
      "shards",     "cores",      "memory_bytes", "priority",
      "model_name", "momentum",   "nesterov",     "beta1",
      "beta2",      "epsilon",    "step_factor",  "step_epochs",
      "start_from", "freeze",     "continues",    "schedule_start_epoch",
      "slurm_args", "nodes"};
  const auto* const type = v1::TrainingSpec::descriptor();
  for (const v1::RecipeDefaults& recipe : Recipes()) {
    const v1::TrainingSpec& defaults = recipe.defaults();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* const field = type->field(i);
      const google::protobuf::Reflection& reflection = *defaults.GetReflection();
      const bool there = field->is_repeated() ? reflection.FieldSize(defaults, field) > 0
                                              : reflection.HasField(defaults, field);
      EXPECT_EQ(there, !others.contains(field->name()))
          << v1::Recipe_Name(recipe.recipe()) << " " << field->name();
    }
  }
}

TEST(RecipesTest, AreTheStudysWhereNoneIsNamed) {
  EXPECT_EQ(DefaultsOf(v1::RECIPE_UNSPECIFIED).recipe(), v1::RECIPE_STUDY);
  EXPECT_EQ(DefaultsOf(static_cast<v1::Recipe>(50)).recipe(), v1::RECIPE_STUDY);
  EXPECT_EQ(DefaultsOf(v1::RECIPE_BEST).epochs(), 60);
}

TEST(RecipesTest, FillOnlyWhatIsMissing) {
  v1::TrainingSpec spec;
  spec.set_epochs(7);
  spec.set_shift(0);
  spec.set_schedule(v1::SCHEDULE_CONSTANT);
  FillMissing(DefaultsOf(v1::RECIPE_BEST), &spec);
  EXPECT_EQ(spec.epochs(), 7);
  EXPECT_EQ(spec.shift(), 0);
  EXPECT_EQ(spec.schedule(), v1::SCHEDULE_CONSTANT);
  EXPECT_EQ(spec.recipe(), v1::RECIPE_BEST);
  EXPECT_EQ(spec.dataset(), "fashion-mnist");
  EXPECT_EQ(spec.erasing(), 0.25);
  EXPECT_FALSE(spec.has_seed());
}

}  // namespace
}  // namespace atelier::jobs
