// What a network makes of images, image by image: the one pass behind validation during training
// and evaluation after it, by the network that is served. Private to models/.
#ifndef ATELIER_MODELS_TRAINING_SCORING_H_
#define ATELIER_MODELS_TRAINING_SCORING_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/stop_signal.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/network/inference_network.h"

namespace atelier::models {

struct ImageScore {
  // Cross-entropy.
  float loss = 0;
  int64_t predicted_class = 0;
  // Given to the predicted and to the true class.
  float probability = 0;
  float true_probability = 0;
};

// Scores the images of a split at `indices`, in batches that the team shares out; results do not
// depend on its size. FailureReason kCancelled if `stop` (may be null) asks to end. Throws what the
// network throws. Requires a network that fits the images.
absl::StatusOr<std::vector<ImageScore>> ScoreImages(const InferenceNetwork& network,
                                                    const LabeledImages& images,
                                                    absl::Span<const int32_t> indices,
                                                    int64_t batch_size, ThreadTeam& team,
                                                    const StopSignal* stop);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_SCORING_H_
