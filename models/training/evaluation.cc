#include "models/training/evaluation.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/base/thread_team.h"
#include "models/compute/compile.h"
#include "models/training/scoring.h"

namespace atelier::models {
namespace {

absl::Status CheckFit(const TrainedModel& model, const Dataset& dataset,
                      const EvaluationOptions& options) {
  if (absl::Status status = model.Validate(); !status.ok()) {
    return Failure(FailureReason::kInvalidSpec, status.message());
  }
  if (model.architecture.input != dataset.shape() ||
      model.architecture.classes != dataset.classes()) {
    return Failure(FailureReason::kInvalidSpec,
                   "the model is for images or classes other than the data set's");
  }
  if (options.threads < 1 || options.batch_size < 1) {
    return Failure(FailureReason::kInvalidSpec,
                   absl::StrCat("threads is ", options.threads, " and batch_size ",
                                options.batch_size, "; both must be at least 1"));
  }
  return absl::OkStatus();
}

constexpr int64_t kTop = 5;
// Batches of a thread between two reports of progress.
constexpr int64_t kPieceBatches = 4;

Reliability ReliabilityOf(const std::vector<ImageScore>& scores, const LabeledImages& images,
                          float ImageScore::*confidence) {
  ReliabilityTally tally;
  for (size_t i = 0; i < scores.size(); ++i) {
    tally.Add(scores[i].*confidence, scores[i].predicted_class == images.labels[i]);
  }
  return tally.Finish();
}

void AverageOverClasses(Evaluation* evaluation) {
  int64_t images = 0;
  for (const ClassMetrics& metrics : evaluation->class_metrics) {
    images += metrics.support;
    evaluation->weighted_f1 += metrics.f1 * static_cast<double>(metrics.support);
  }
  evaluation->macro_f1 = MacroF1(evaluation->class_metrics);
  evaluation->weighted_f1 /= static_cast<double>(images);
}

Evaluation Summarize(const std::vector<ImageScore>& scores, const LabeledImages& images,
                     int64_t classes, bool calibrated) {
  Evaluation evaluation;
  evaluation.confusion.assign(static_cast<size_t>(classes),
                              std::vector<int64_t>(static_cast<size_t>(classes), 0));
  double loss_sum = 0;
  int64_t correct = 0;
  int64_t among_top = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const ImageScore& score = scores[i];
    const Prediction prediction{static_cast<int64_t>(i), images.labels[i], score.predicted_class,
                                score.probability, score.true_probability};
    loss_sum += score.loss;
    correct += prediction.right();
    among_top += score.more_probable < kTop;
    ++evaluation.confusion[prediction.true_class][prediction.predicted_class];
    evaluation.predictions.push_back(prediction);
  }
  const auto count = static_cast<double>(scores.size());
  evaluation.loss = loss_sum / count;
  evaluation.accuracy = static_cast<double>(correct) / count;
  if (classes > kTop) evaluation.top5_accuracy = static_cast<double>(among_top) / count;
  evaluation.class_metrics = ClassMetricsOf(evaluation.confusion);
  AverageOverClasses(&evaluation);
  evaluation.reliability = ReliabilityOf(scores, images, &ImageScore::probability);
  if (calibrated) {
    evaluation.calibrated = ReliabilityOf(scores, images, &ImageScore::calibrated_probability);
  }
  SortPredictions(evaluation.predictions);
  return evaluation;
}

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

absl::StatusOr<Evaluation> Evaluate(const TrainedModel& model, const Dataset& dataset,
                                    SplitName split, const EvaluationOptions& options,
                                    const StopSignal* stop) {
  if (absl::Status status = CheckFit(model, dataset, options); !status.ok()) return status;
  return GuardExceptions("evaluating", [&]() -> absl::StatusOr<Evaluation> {
    const LabeledImages& images = dataset.split(split);
    std::vector<int32_t> all(static_cast<size_t>(images.size()));
    std::iota(all.begin(), all.end(), 0);
    ThreadTeam team(options.threads);
    const auto network = Compile(model, {Precision::kFloat32, options.device, options.path_choice});
    // In pieces, each of which keeps all threads busy for a while.
    const auto piece = static_cast<size_t>(kPieceBatches * options.threads * options.batch_size);
    std::vector<ImageScore> scores;
    scores.reserve(all.size());
    while (scores.size() < all.size()) {
      const auto indices = absl::MakeConstSpan(all).subspan(scores.size(), piece);
      const absl::StatusOr<std::vector<ImageScore>> scored = ScoreImages(
          *network, images, indices, options.batch_size, team, stop, options.temperature);
      if (!scored.ok()) return scored.status();
      scores.insert(scores.end(), scored->begin(), scored->end());
      if (options.progress) options.progress(static_cast<int64_t>(scores.size()));
    }
    return Summarize(scores, images, dataset.classes(), options.temperature.has_value());
  });
}

std::vector<ClassMetrics> ClassMetricsOf(const std::vector<std::vector<int64_t>>& confusion) {
  std::vector<ClassMetrics> metrics(confusion.size());
  std::vector<int64_t> predicted(confusion.size());
  for (const std::vector<int64_t>& row : confusion) {
    std::transform(row.begin(), row.end(), predicted.begin(), predicted.begin(), std::plus<>());
  }
  for (size_t c = 0; c < confusion.size(); ++c) {
    const auto right = static_cast<double>(confusion[c][c]);
    ClassMetrics& figures = metrics[c];
    figures.support = std::accumulate(confusion[c].begin(), confusion[c].end(), int64_t{0});
    figures.precision = Ratio(right, static_cast<double>(predicted[c]));
    figures.recall = Ratio(right, static_cast<double>(figures.support));
    figures.f1 = Ratio(2 * figures.precision * figures.recall, figures.precision + figures.recall);
  }
  return metrics;
}

double MacroF1(absl::Span<const ClassMetrics> metrics) {
  double sum = 0;
  for (const ClassMetrics& figures : metrics) sum += figures.f1;
  return sum / static_cast<double>(metrics.size());
}

void SortPredictions(std::vector<Prediction>& predictions) {
  std::sort(predictions.begin(), predictions.end(), [](const Prediction& a, const Prediction& b) {
    if (a.right() != b.right()) return b.right();
    if (a.probability != b.probability) {
      return a.right() ? a.probability < b.probability : a.probability > b.probability;
    }
    return a.index < b.index;
  });
}

}  // namespace atelier::models
