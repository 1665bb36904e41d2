// What makes the figures of a training doubtful although it ended well. Pure functions.
#ifndef ATELIER_MODELS_TRAINING_TRAINING_WARNINGS_H_
#define ATELIER_MODELS_TRAINING_TRAINING_WARNINGS_H_

#include <string>
#include <vector>

#include "models/data/dataset.h"
#include "models/data/validation_split.h"
#include "models/network/architecture.h"
#include "models/training/trainer.h"

namespace atelier::models {

// A sentence each on channels that cannot be standardised, classes without an image to train on,
// classes without one to validate with, and a validation accuracy that is hardly above chance while
// the training accuracy is far above it. Empty if there is nothing to say.
std::vector<std::string> TrainingWarnings(const Architecture& architecture, const Dataset& dataset,
                                          const ValidationSplit& split,
                                          const TrainingOutcome& outcome);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_TRAINING_WARNINGS_H_
