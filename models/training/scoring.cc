#include "models/training/scoring.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "models/base/failure.h"

namespace atelier::models {
namespace {

// The loss is that of the smallest normal probability where softmax came to less, as it may of a
// network that is sure of the wrong class; NaN stays NaN.
float CrossEntropy(float probability) {
  return -std::log(probability < std::numeric_limits<float>::min()
                       ? std::numeric_limits<float>::min()
                       : probability);
}

void ScoreBatch(const InferenceNetwork& network, const LabeledImages& images,
                absl::Span<const int32_t> indices, absl::Span<ImageScore> scores) {
  const auto size = static_cast<size_t>(network.input_shape().size());
  const auto classes = static_cast<size_t>(network.classes());
  std::vector<PixelSpan> pixels;
  for (const int32_t index : indices) {
    pixels.push_back(
        absl::MakeConstSpan(images.pixels).subspan(static_cast<size_t>(index) * size, size));
  }
  std::vector<float> probabilities(indices.size() * classes);
  network.Run(pixels, probabilities.data());
  for (size_t i = 0; i < indices.size(); ++i) {
    const float* row = &probabilities[i * classes];
    const uint8_t label = images.labels[static_cast<size_t>(indices[i])];
    const int64_t best = std::max_element(row, row + classes) - row;
    scores[i] = {CrossEntropy(row[label]), best, row[best], row[label]};
  }
}

}  // namespace

absl::StatusOr<std::vector<ImageScore>> ScoreImages(const InferenceNetwork& network,
                                                    const LabeledImages& images,
                                                    absl::Span<const int32_t> indices,
                                                    int64_t batch_size, ThreadTeam& team,
                                                    const StopSignal* stop) {
  const auto count = static_cast<int64_t>(indices.size());
  std::vector<ImageScore> scores(indices.size());
  std::atomic<bool> cancelled = false;
  team.Run((count + batch_size - 1) / batch_size, [&](int64_t batch) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) cancelled = true;
    if (cancelled) return;
    const auto begin = static_cast<size_t>(batch * batch_size);
    const auto size = static_cast<size_t>(batch_size);
    ScoreBatch(network, images, indices.subspan(begin, size),
               absl::MakeSpan(scores).subspan(begin, size));
  });
  if (cancelled) return Failure(FailureReason::kCancelled, "asked to stop while scoring images");
  return scores;
}

}  // namespace atelier::models
