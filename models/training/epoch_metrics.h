// What one epoch came to. A value.
#ifndef ATELIER_MODELS_TRAINING_EPOCH_METRICS_H_
#define ATELIER_MODELS_TRAINING_EPOCH_METRICS_H_

#include <cstdint>

namespace atelier::models {

struct EpochMetrics {
  // From 1.
  int64_t epoch = 0;
  double training_loss = 0;
  // Fractions.
  double training_accuracy = 0;
  double validation_loss = 0;
  double validation_accuracy = 0;
  // Mean F1 over the classes; 0 in trainings from before it was recorded.
  double validation_macro_f1 = 0;
  // In the epoch's last step.
  double learning_rate = 0;
  // Wall time with validation, and training images a second without it.
  double seconds = 0;
  double images_per_second = 0;
  // Better than every earlier epoch, by TrainingOptions::monitor and min_delta.
  bool best = false;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_EPOCH_METRICS_H_
