// How well the probabilities of a network agree with how often it is right: reliability by bins of
// confidence, expected calibration error, and the temperature that calibrates them (Guo et al., On
// Calibration of Modern Neural Networks, 2017). Thread-safe: free functions and values; a tally
// belongs to one thread.
#ifndef ATELIER_MODELS_TRAINING_CALIBRATION_H_
#define ATELIER_MODELS_TRAINING_CALIBRATION_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/network/inference_network.h"

namespace atelier::models {

inline constexpr int kReliabilityBins = 15;

// Probabilities that a temperature is fitted on at most: 16 MiB, 419,430 images of ten classes.
inline constexpr int64_t kMaxCalibrationNumbers = int64_t{1} << 22;

// The images whose confidence, the probability of their predicted class, lies in one range: bin i
// of n, counted from 0, is above i/n and up to (i+1)/n.
struct ReliabilityBin {
  int64_t images = 0;
  // Mean confidence, and fraction classified correctly; 0 without images.
  double confidence = 0;
  double accuracy = 0;
};

struct Reliability {
  // kReliabilityBins of equal width; none if it was not measured.
  std::vector<ReliabilityBin> bins;
  // Expected calibration error: the mean of |accuracy − confidence| over the bins, weighted by
  // their images.
  double ece = 0;
};

// Sorts images into bins. The sums, and so the figures, depend on the order in which they come.
class ReliabilityTally {
 public:
  void Add(float confidence, bool right);
  Reliability Finish() const;

 private:
  std::array<ReliabilityBin, kReliabilityBins> sums_;
};

// Class probabilities of labelled images.
struct LabeledProbabilities {
  int64_t classes = 0;
  // Images × classes.
  std::vector<float> rows;
  std::vector<ClassLabel> labels;
};

// The temperature in [kMinTemperature, kMaxTemperature] at which the mean cross-entropy of the
// images is lowest. That is convex in 1/temperature, so the answer is unique, and it is a bound
// where the cross-entropy still falls there: the lower one if all images are classified correctly,
// the upper one if the probabilities say nothing of the classes. 1 if it is the same everywhere
// (every row is uniform). Requires one image at least. Deterministic.
double FitTemperature(const LabeledProbabilities& images);

// A temperature that was fitted on validation images, and what it does to them.
struct Calibration {
  double temperature = 1;
  // Expected calibration error of the images it was fitted on, without and with it.
  double validation_ece = 0;
  double calibrated_validation_ece = 0;
};

// Calibrates a network on the images of a split at `indices`, or, where their probabilities would
// be more than kMaxCalibrationNumbers numbers, on as many of them at equal distances. Does not
// depend on the team's size. Errors and requirements as ScoreImages.
absl::StatusOr<Calibration> Calibrate(const InferenceNetwork& network, const LabeledImages& images,
                                      absl::Span<const int32_t> indices, int64_t batch_size,
                                      ThreadTeam& team, const StopSignal* stop);

// A sentence on a temperature that is one of its bounds; empty for any other.
std::string TemperatureWarning(double temperature);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_CALIBRATION_H_
