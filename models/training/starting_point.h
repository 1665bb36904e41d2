// Where a training begins: at a checkpoint of its own, at that of the training which it continues,
// or with weights that are new or another model's. Private to models/training.
#ifndef ATELIER_MODELS_TRAINING_STARTING_POINT_H_
#define ATELIER_MODELS_TRAINING_STARTING_POINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"
#include "models/training/checkpoint.h"
#include "models/training/trainer.h"

namespace atelier::models {

struct StartingPoint {
  // Without an optimiser's memory and an average unless it comes from a checkpoint.
  TrainingState state;
  bool from_checkpoint = false;
};

// Of a training with those options, whose fingerprint is given. `start` as Trainer::Create; errors
// too.
absl::StatusOr<StartingPoint> FindStartingPoint(const TrainingOptions& options,
                                                const std::string& fingerprint,
                                                const CheckpointOptions& checkpoints,
                                                const TrainedModel* start);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_STARTING_POINT_H_
