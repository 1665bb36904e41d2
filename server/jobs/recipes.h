// The recipes: named sets of training defaults. One table; what fills, lists or documents defaults
// reads it or is checked against it. Thread-safe: constants and pure functions.
#ifndef ATELIER_SERVER_JOBS_RECIPES_H_
#define ATELIER_SERVER_JOBS_RECIPES_H_

#include <vector>

#include "atelier/v1/job.pb.h"
#include "atelier/v1/training_service.pb.h"

namespace atelier::jobs {

// All recipes, in the order of the enumeration. `defaults` has every field of a specification whose
// default is the same on every server, the recipe included.
const std::vector<v1::RecipeDefaults>& Recipes();

// The defaults of a recipe; RECIPE_STUDY's for a number that is no recipe.
const v1::TrainingSpec& DefaultsOf(v1::Recipe recipe);

// Gives every field that is absent from `spec` its value in `defaults`. Numbers and texts without
// presence, and enumerations, are absent if they are 0 or empty.
void FillMissing(const v1::TrainingSpec& defaults, v1::TrainingSpec* spec);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_RECIPES_H_
