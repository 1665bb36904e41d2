#include "models/training/scoring.h"

#include <algorithm>
#include <atomic>

#include "models/base/failure.h"
#include "models/network/probabilities.h"

namespace atelier::models {
namespace {

// The images at `indices`, whose first has the place `first`.
void VisitBatch(const InferenceNetwork& network, const LabeledImages& images,
                absl::Span<const int32_t> indices, size_t first, const ProbabilityVisitor& visit) {
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
    visit(first + i, absl::MakeConstSpan(probabilities).subspan(i * classes, classes),
          images.labels[static_cast<size_t>(indices[i])]);
  }
}

ImageScore ScoreOf(absl::Span<const float> row, ClassLabel label,
                   std::optional<double> temperature) {
  const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
  ImageScore score;
  score.loss = -LogProbability(row[label]);
  score.predicted_class = static_cast<int64_t>(best);
  score.probability = row[best];
  score.true_probability = row[label];
  if (temperature.has_value()) score.calibrated_probability = ConfidenceAt(*temperature, row);
  for (size_t i = 0; i < row.size(); ++i) {
    score.more_probable += row[i] > row[label] || (row[i] == row[label] && i < label);
  }
  return score;
}

}  // namespace

absl::Status VisitProbabilities(const InferenceNetwork& network, const LabeledImages& images,
                                absl::Span<const int32_t> indices, int64_t batch_size,
                                ThreadTeam& team, const StopSignal* stop,
                                const ProbabilityVisitor& visit) {
  const auto count = static_cast<int64_t>(indices.size());
  std::atomic<bool> cancelled = false;
  team.Run((count + batch_size - 1) / batch_size, [&](int64_t batch) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) cancelled = true;
    if (cancelled) return;
    const auto begin = static_cast<size_t>(batch * batch_size);
    VisitBatch(network, images, indices.subspan(begin, static_cast<size_t>(batch_size)), begin,
               visit);
  });
  if (cancelled) return Failure(FailureReason::kCancelled, "asked to stop while scoring images");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ImageScore>> ScoreImages(const InferenceNetwork& network,
                                                    const LabeledImages& images,
                                                    absl::Span<const int32_t> indices,
                                                    int64_t batch_size, ThreadTeam& team,
                                                    const StopSignal* stop,
                                                    std::optional<double> temperature) {
  std::vector<ImageScore> scores(indices.size());
  absl::Status visited =
      VisitProbabilities(network, images, indices, batch_size, team, stop,
                         [&](size_t place, absl::Span<const float> row, ClassLabel label) {
                           scores[place] = ScoreOf(row, label, temperature);
                         });
  if (!visited.ok()) return visited;
  return scores;
}

}  // namespace atelier::models
