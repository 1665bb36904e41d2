#include "server/jobs/recipes.h"

#include <algorithm>
#include <utility>

namespace atelier::jobs {
namespace {

v1::TrainingSpec StudyDefaults() {
  v1::TrainingSpec spec;
  spec.set_recipe(v1::RECIPE_STUDY);
  spec.set_dataset("fashion-mnist");
  spec.set_epochs(20);
  spec.set_batch_size(128);
  spec.set_learning_rate(0.001);
  spec.set_schedule(v1::SCHEDULE_CONSTANT);
  spec.set_warmup_fraction(0.25);
  spec.set_dropout(0.3);
  spec.set_patience(5);
  spec.set_validation_fraction(0.1);
  spec.set_standardize(false);
  spec.set_random_resized_crop(0);
  spec.set_rotation(0);
  spec.set_horizontal_flip(false);
  spec.set_shift(0);
  spec.set_color_jitter(0);
  spec.set_erasing(0);
  spec.set_label_smoothing(0);
  spec.set_weight_decay(0);
  spec.set_average_decay(0);
  spec.set_batch_norm_momentum(0.01);
  spec.set_precision(v1::PRECISION_AUTO);
  spec.set_serving_precision(v1::PRECISION_FLOAT32);
  spec.set_device(v1::DEVICE_AUTO);
  spec.set_optimizer(v1::OPTIMIZER_ADAMW);
  spec.set_max_gradient_norm(0);
  spec.set_class_weights("none");
  spec.set_monitor(v1::MONITOR_VALIDATION_LOSS);
  spec.set_min_delta(0);
  return spec;
}

v1::TrainingSpec FastDefaults() {
  v1::TrainingSpec spec = StudyDefaults();
  spec.set_recipe(v1::RECIPE_FAST);
  spec.set_epochs(3);
  spec.set_learning_rate(0.003);
  spec.set_schedule(v1::SCHEDULE_ONE_CYCLE);
  return spec;
}

v1::TrainingSpec BestDefaults() {
  v1::TrainingSpec spec = StudyDefaults();
  spec.set_recipe(v1::RECIPE_BEST);
  spec.set_epochs(60);
  spec.set_learning_rate(0.003);
  spec.set_schedule(v1::SCHEDULE_ONE_CYCLE);
  spec.set_patience(60);
  spec.set_validation_fraction(0.05);
  spec.set_horizontal_flip(true);
  spec.set_shift(2);
  spec.set_erasing(0.25);
  spec.set_label_smoothing(0.1);
  spec.set_weight_decay(0.02);
  spec.set_average_decay(0.998);
  return spec;
}

v1::RecipeDefaults Recipe(v1::TrainingSpec defaults, const char* description) {
  v1::RecipeDefaults recipe;
  recipe.set_recipe(defaults.recipe());
  recipe.set_description(description);
  *recipe.mutable_defaults() = std::move(defaults);
  return recipe;
}

}  // namespace

const std::vector<v1::RecipeDefaults>& Recipes() {
  static const auto* recipes = new std::vector<v1::RecipeDefaults>{
      Recipe(StudyDefaults(), "The settings of the published study"),
      Recipe(FastDefaults(), "The study's accuracy in the shortest time"),
      Recipe(BestDefaults(), "The highest accuracy at a reasonable cost"),
  };
  return *recipes;
}

const v1::TrainingSpec& DefaultsOf(v1::Recipe recipe) {
  const auto found =
      std::find_if(Recipes().begin(), Recipes().end(),
                   [recipe](const v1::RecipeDefaults& known) { return known.recipe() == recipe; });
  return found == Recipes().end() ? Recipes().front().defaults() : found->defaults();
}

void FillMissing(const v1::TrainingSpec& defaults, v1::TrainingSpec* spec) {
  v1::TrainingSpec filled = defaults;
  filled.MergeFrom(*spec);
  *spec = std::move(filled);
}

}  // namespace atelier::jobs
