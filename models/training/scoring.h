// What a network makes of images, image by image: the one pass behind validation during training,
// calibration and evaluation after it, by the network that is served. Private to models/.
#ifndef ATELIER_MODELS_TRAINING_SCORING_H_
#define ATELIER_MODELS_TRAINING_SCORING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/network/inference_network.h"

namespace atelier::models {

struct ImageScore {
  // Cross-entropy.
  float loss = 0;
  // The most probable class; the lowest-numbered one of equals.
  int64_t predicted_class = 0;
  // Given to the predicted and to the true class.
  float probability = 0;
  float true_probability = 0;
  // Given to the predicted class at the temperature that was asked for; 0 without one.
  float calibrated_probability = 0;
  // Classes that are more probable than the true one, lower-numbered ones of equals included.
  int64_t more_probable = 0;
};

// An image's place in the list that is scored, its class probabilities and its true class. Called
// on the team's threads, for several images at once.
using ProbabilityVisitor =
    std::function<void(size_t place, absl::Span<const float> probabilities, ClassLabel label)>;

// Shows the probabilities of the images of a split at `indices` to `visit`, each once, in batches
// that the team shares out: what a batch needs is all that is held. FailureReason kCancelled if
// `stop` (may be null) asks to end. Throws what the network throws. Requires a network that fits
// the images.
absl::Status VisitProbabilities(const InferenceNetwork& network, const LabeledImages& images,
                                absl::Span<const int32_t> indices, int64_t batch_size,
                                ThreadTeam& team, const StopSignal* stop,
                                const ProbabilityVisitor& visit);

// Scores the images of a split at `indices`; results do not depend on the team's size. Errors and
// requirements as above.
absl::StatusOr<std::vector<ImageScore>> ScoreImages(
    const InferenceNetwork& network, const LabeledImages& images, absl::Span<const int32_t> indices,
    int64_t batch_size, ThreadTeam& team, const StopSignal* stop,
    std::optional<double> temperature = std::nullopt);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_SCORING_H_
