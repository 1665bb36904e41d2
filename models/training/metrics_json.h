// The words of metrics in files: what checkpoints and archives call the fields of EpochMetrics.
// Needs nlohmann-json, so it is private to models/. Thread-safe: free functions.
#ifndef ATELIER_MODELS_TRAINING_METRICS_JSON_H_
#define ATELIER_MODELS_TRAINING_METRICS_JSON_H_

#include <nlohmann/json.hpp>

#include "models/training/epoch_metrics.h"

namespace atelier::models {

inline nlohmann::ordered_json EpochMetricsToJson(const EpochMetrics& metrics) {
  return {{"epoch", metrics.epoch},
          {"training_loss", metrics.training_loss},
          {"training_accuracy", metrics.training_accuracy},
          {"validation_loss", metrics.validation_loss},
          {"validation_accuracy", metrics.validation_accuracy},
          {"validation_macro_f1", metrics.validation_macro_f1},
          {"learning_rate", metrics.learning_rate},
          {"seconds", metrics.seconds},
          {"images_per_second", metrics.images_per_second},
          {"best", metrics.best}};
}

// Throws nlohmann's exceptions if a field is missing, but for the macro F1, or of another type.
inline EpochMetrics EpochMetricsFromJson(const nlohmann::json& json) {
  EpochMetrics metrics;
  json.at("epoch").get_to(metrics.epoch);
  json.at("training_loss").get_to(metrics.training_loss);
  json.at("training_accuracy").get_to(metrics.training_accuracy);
  json.at("validation_loss").get_to(metrics.validation_loss);
  json.at("validation_accuracy").get_to(metrics.validation_accuracy);
  metrics.validation_macro_f1 = json.value("validation_macro_f1", 0.0);
  json.at("learning_rate").get_to(metrics.learning_rate);
  json.at("seconds").get_to(metrics.seconds);
  json.at("images_per_second").get_to(metrics.images_per_second);
  json.at("best").get_to(metrics.best);
  return metrics;
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_METRICS_JSON_H_
