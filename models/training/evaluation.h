// How good a network is on a split: loss, accuracy, confusion matrix, figures per class and over
// the classes, reliability of its probabilities, and every single prediction. Always float32, so
// that the numbers are those of the served model. Thread-safe: free functions and values.
#ifndef ATELIER_MODELS_TRAINING_EVALUATION_H_
#define ATELIER_MODELS_TRAINING_EVALUATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/network/compute_path.h"
#include "models/network/device.h"
#include "models/network/trained_model.h"
#include "models/training/calibration.h"

namespace atelier::models {

// How well one class is recognised; a figure that would divide by zero is 0.
struct ClassMetrics {
  // Of the images predicted to be of the class, the fraction that are.
  double precision = 0;
  // Of the images of the class, the fraction predicted to be.
  double recall = 0;
  // Harmonic mean of the two.
  double f1 = 0;
  // Images of the class.
  int64_t support = 0;
};

struct Prediction {
  // Of the image in its split, from 0.
  int64_t index = 0;
  int64_t true_class = 0;
  // The most probable class; the lowest-numbered one of equals.
  int64_t predicted_class = 0;
  // Given to the predicted class.
  float probability = 0;
  // Given to the true class.
  float true_probability = 0;

  bool right() const { return true_class == predicted_class; }
};

struct Evaluation {
  // Mean cross-entropy over the images.
  double loss = 0;
  // Fraction classified correctly: top-1 accuracy.
  double accuracy = 0;
  // Fraction whose true class is one of the five most probable; only where there are more classes.
  std::optional<double> top5_accuracy;
  // Mean F1 over the classes: of all alike, and weighted by their images.
  double macro_f1 = 0;
  double weighted_f1 = 0;
  // Of the probabilities as they are, and at the temperature that was asked for.
  Reliability reliability;
  std::optional<Reliability> calibrated;
  // Images by [true class][predicted class].
  std::vector<std::vector<int64_t>> confusion;
  std::vector<ClassMetrics> class_metrics;
  // Every image once: most confidently wrong first, then the right ones, least confident first.
  std::vector<Prediction> predictions;
};

struct EvaluationOptions {
  // Batches that run at once; results do not depend on it.
  int64_t threads = 1;
  int64_t batch_size = 500;
  // On another device the last digits may differ.
  Device device = Device::kCpu;
  PathChoice path_choice = PathChoice::kAutomatic;
  // At which calibrated probabilities are measured; nothing else depends on it.
  std::optional<double> temperature = std::nullopt;
  // Told now and then how many images are scored. May be empty.
  std::function<void(int64_t)> progress = {};
};

// Scores a split. kInvalidSpec if the network does not fit the images; kCancelled if `stop` (may be
// null) asks to end meanwhile; kOutOfMemory, kInternal, also where the device is not there.
absl::StatusOr<Evaluation> Evaluate(const TrainedModel& model, const Dataset& dataset,
                                    SplitName split, const EvaluationOptions& options = {},
                                    const StopSignal* stop = nullptr);

// Figures per class of a square matrix of counts by [true][predicted].
std::vector<ClassMetrics> ClassMetricsOf(const std::vector<std::vector<int64_t>>& confusion);

// Mean F1 of the classes, at least one.
double MacroF1(absl::Span<const ClassMetrics> metrics);

// Puts predictions into the order Evaluation states; equals by index.
void SortPredictions(std::vector<Prediction>& predictions);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_EVALUATION_H_
