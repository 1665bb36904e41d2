#include "models/training/validation.h"

#include <vector>

#include "models/training/evaluation.h"

namespace atelier::models {

ValidationMetrics Validated(absl::Span<const ImageScore> scores, const Dataset& dataset,
                            absl::Span<const int32_t> indices) {
  const auto classes = static_cast<size_t>(dataset.classes());
  std::vector<std::vector<int64_t>> confusion(classes, std::vector<int64_t>(classes));
  double loss_sum = 0;
  int64_t correct = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const ClassLabel label = dataset.training().labels[static_cast<size_t>(indices[i])];
    loss_sum += static_cast<double>(scores[i].loss);
    correct += scores[i].predicted_class == label;
    ++confusion[label][static_cast<size_t>(scores[i].predicted_class)];
  }
  const auto images = static_cast<double>(scores.size());
  return {loss_sum / images, static_cast<double>(correct) / images,
          MacroF1(ClassMetricsOf(confusion))};
}

bool IsBetter(const TrainingOptions& options, const EpochMetrics& now, const EpochMetrics& best) {
  switch (options.monitor) {
    case Monitor::kValidationLoss:
      return now.validation_loss < best.validation_loss - options.min_delta;
    case Monitor::kValidationAccuracy:
      return now.validation_accuracy > best.validation_accuracy + options.min_delta;
    case Monitor::kMacroF1:
      return now.validation_macro_f1 > best.validation_macro_f1 + options.min_delta;
  }
  return false;
}

}  // namespace atelier::models
