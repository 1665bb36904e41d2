#include "models/training/training_warnings.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "models/network/standardization.h"

namespace atelier::models {
namespace {

// Classes that a sentence names.
constexpr size_t kMostNames = 10;
// Of the way from chance to all images: how far training must have come for the comparison to mean
// something, and which part of training's way validation must at least have come.
constexpr double kLearned = 0.5;
constexpr double kCarriedOver = 0.25;

void AddMissing(const std::vector<int64_t>& counts, const std::vector<std::string>& class_names,
                absl::string_view what, std::vector<std::string>& warnings) {
  std::vector<std::string> names;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) names.push_back(class_names[i]);
  }
  if (names.empty()) return;
  const size_t missing = names.size();
  names.resize(std::min(missing, kMostNames));
  warnings.push_back(absl::StrCat(
      missing == 1 ? "One class has no images" : absl::StrCat(missing, " classes have no images"),
      " ", what, ": ", absl::StrJoin(names, ", "), missing > kMostNames ? " and others." : "."));
}

void AddAtChance(double chance, const TrainingOutcome& outcome,
                 std::vector<std::string>& warnings) {
  if (outcome.best_epoch == 0) return;
  double training = 0;
  for (const EpochMetrics& epoch : outcome.history) {
    training = std::max(training, epoch.training_accuracy);
  }
  const double validation =
      outcome.history[static_cast<size_t>(outcome.best_epoch - 1)].validation_accuracy;
  if (training - chance < kLearned * (1 - chance)) return;
  if (validation - chance >= kCarriedOver * (training - chance)) return;
  warnings.push_back(
      absl::StrFormat("The training images are classified with %.1f %% accuracy, the validation "
                      "images with %.1f %%, "
                      "where naming the most frequent class would give %.1f %%: what was learned "
                      "does not carry over "
                      "to other images.",
                      100 * training, 100 * validation, 100 * chance));
}

}  // namespace

std::vector<std::string> TrainingWarnings(const Architecture& architecture, const Dataset& dataset,
                                          const ValidationSplit& split,
                                          const TrainingOutcome& outcome) {
  const auto count = [&](const std::vector<int32_t>& indices) {
    return CountByClass(dataset.training(), indices, dataset.classes());
  };
  const std::vector<int64_t> validation = count(split.validation);
  std::vector<std::string> warnings;
  std::string constant = StandardizationWarning(architecture.network, dataset);
  if (!constant.empty()) warnings.push_back(std::move(constant));
  AddMissing(count(split.training), dataset.class_names(), "to train on", warnings);
  AddMissing(validation, dataset.class_names(), "to validate with", warnings);
  const auto most = static_cast<double>(*std::max_element(validation.begin(), validation.end()));
  AddAtChance(most / static_cast<double>(split.validation.size()), outcome, warnings);
  return warnings;
}

}  // namespace atelier::models
