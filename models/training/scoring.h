// What a network makes of images, image by image: the one pass behind validation during training
// and evaluation after it, by the kernels that serve (InferenceProgram), or on a GPU by LibTorch.
// Private to models/.
#ifndef ATELIER_MODELS_TRAINING_SCORING_H_
#define ATELIER_MODELS_TRAINING_SCORING_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/stop_signal.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/kernels/inference_program.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"

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
// depend on its size. FailureReason kCancelled if `stop` (may be null) asks to end. Throws
// std::bad_alloc, on a GPU what LibTorch throws. Requires a valid model that fits the data set.
absl::StatusOr<std::vector<ImageScore>> ScoreImages(
    const TrainedModel& model, const LabeledImages& images, absl::Span<const int32_t> indices,
    int64_t batch_size, ThreadTeam& team, const StopSignal* stop, Device device = Device::kCpu);

// A network's probabilities, as InferenceProgram::Run. Called by several threads at once.
using RunNetwork = absl::FunctionRef<void(absl::Span<const PixelSpan> parts, float* probabilities)>;

// The same by whatever computes a network of this architecture.
absl::StatusOr<std::vector<ImageScore>> ScoreImagesBy(RunNetwork run,
                                                      const Architecture& architecture,
                                                      const LabeledImages& images,
                                                      absl::Span<const int32_t> indices,
                                                      int64_t batch_size, ThreadTeam& team,
                                                      const StopSignal* stop);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_SCORING_H_
