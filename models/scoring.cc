#include "models/scoring.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "models/failure.h"
#include "models/network.h"

namespace atelier::models {
namespace {

void ScoreBatch(const Architecture& architecture, const std::vector<at::Tensor>& tensors,
                const LabeledImages& images, absl::Span<const int32_t> indices,
                absl::Span<ImageScore> scores) {
  UseOneTorchThread();
  const at::InferenceMode inference;
  const at::Tensor logits =
      InferenceLogits(architecture, tensors, GatherImages(architecture, images, indices));
  const at::Tensor log_probabilities = at::log_softmax(logits, 1).contiguous();
  const float* row = log_probabilities.data_ptr<float>();
  for (size_t i = 0; i < indices.size(); ++i, row += architecture.classes) {
    const uint8_t label = images.labels[static_cast<size_t>(indices[i])];
    const int64_t best = std::max_element(row, row + architecture.classes) - row;
    scores[i] = {-row[label], best, std::exp(row[best]), std::exp(row[label])};
  }
}

}  // namespace

absl::StatusOr<std::vector<ImageScore>> ScoreImages(const TrainedModel& model,
                                                    const LabeledImages& images,
                                                    absl::Span<const int32_t> indices,
                                                    int64_t batch_size, ThreadTeam& team,
                                                    const StopSignal* stop) {
  const std::vector<at::Tensor> tensors = TensorsOf(model);
  const auto count = static_cast<int64_t>(indices.size());
  std::vector<ImageScore> scores(indices.size());
  std::atomic<bool> cancelled = false;
  team.Run((count + batch_size - 1) / batch_size, [&](int64_t batch) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) cancelled = true;
    if (cancelled) return;
    const auto begin = static_cast<size_t>(batch * batch_size);
    const auto size = static_cast<size_t>(batch_size);
    ScoreBatch(model.architecture, tensors, images, indices.subspan(begin, size),
               absl::MakeSpan(scores).subspan(begin, size));
  });
  if (cancelled) return Failure(FailureReason::kCancelled, "asked to stop while scoring images");
  return scores;
}

}  // namespace atelier::models
