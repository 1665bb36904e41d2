// What an epoch's validation came to, and whether that makes it the best epoch. Private to models/.
// Thread-safe: free functions and values.
#ifndef ATELIER_MODELS_TRAINING_VALIDATION_H_
#define ATELIER_MODELS_TRAINING_VALIDATION_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/data/dataset.h"
#include "models/network/training_options.h"
#include "models/training/epoch_metrics.h"
#include "models/training/scoring.h"

namespace atelier::models {

// As the fields of EpochMetrics.
struct ValidationMetrics {
  double loss = 0;
  double accuracy = 0;
  double macro_f1 = 0;
};

// Of the scores of the images at `indices`, at least one.
ValidationMetrics Validated(absl::Span<const ImageScore> scores, const Dataset& dataset,
                            absl::Span<const int32_t> indices);

// Whether an epoch is better than the best one before, by options.monitor and options.min_delta.
bool IsBetter(const TrainingOptions& options, const EpochMetrics& now, const EpochMetrics& best);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_VALIDATION_H_
