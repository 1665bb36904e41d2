#include "server/worker/scoring_run.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/archive/model_archive.h"
#include "models/base/failure.h"
#include "models/data/dataset.h"
#include "models/data/dataset_checks.h"
#include "models/data/dataset_splits.h"
#include "models/training/evaluation.h"
#include "models/training/label_check.h"
#include "server/base/class_matching.h"
#include "server/worker/assigned_dataset.h"
#include "server/worker/image_progress.h"
#include "server/worker/outcome_event.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

using models::FailureReason;

// Suspicious labels that are kept.
constexpr std::size_t kMaxSuspicious = 1000;

models::DatasetSplit SplitOf(atelier::v1::DatasetSplit split) {
  if (split == atelier::v1::DATASET_SPLIT_TEST) return models::DatasetSplit::kTest;
  return split == atelier::v1::DATASET_SPLIT_VALIDATION ? models::DatasetSplit::kValidation
                                                        : models::DatasetSplit::kTraining;
}

// The images of a split, which shares the data set's bytes. kBadData if there are none.
absl::StatusOr<models::LabeledImages> ImagesOf(const models::Dataset& dataset,
                                               atelier::v1::DatasetSplit split) {
  const models::SplitRange range = models::RangeOf(SplitOf(split), models::InfoOf(dataset));
  if (range.count == 0) {
    return models::Failure(FailureReason::kBadData, "the data set has no images in the split");
  }
  const models::LabeledImages& whole = dataset.split(range.stored_in);
  const auto part = [&](const auto& all, std::int64_t size) {
    return all.Part(static_cast<std::size_t>(range.begin * size),
                    static_cast<std::size_t>(range.count * size));
  };
  return models::LabeledImages{part(whole.pixels, dataset.shape().size()), part(whole.labels, 1)};
}

// The images of a split as test images of the model's classes.
absl::StatusOr<std::shared_ptr<const models::Dataset>> AsTheModelNames(
    const models::Dataset& dataset, const models::LabeledImages& images,
    const std::vector<std::string>& class_names) {
  const auto classes = MatchClasses(dataset.class_names(), class_names);
  if (!classes.ok()) return models::Failure(FailureReason::kBadData, classes.status().message());
  std::vector<models::ClassLabel> labels;
  labels.reserve(static_cast<std::size_t>(images.size()));
  for (const models::ClassLabel label : images.labels) {
    labels.push_back(static_cast<models::ClassLabel>((*classes)[label]));
  }
  return models::Dataset::Create(dataset.shape(), class_names, {}, {images.pixels, labels});
}

// What an evaluation measured. A class that the split does not have says nothing of the model, so
// it does not count in the mean over the classes.
void FillEvaluation(const models::Evaluation& evaluation,
                    const std::vector<std::string>& class_names,
                    atelier::v1::EvaluationResult* result) {
  result->set_images(static_cast<std::int64_t>(evaluation.predictions.size()));
  result->set_accuracy(evaluation.accuracy);
  result->set_loss(evaluation.loss);
  if (evaluation.top5_accuracy.has_value()) result->set_top5_accuracy(*evaluation.top5_accuracy);
  std::vector<models::ClassMetrics> present;
  for (std::size_t i = 0; i < class_names.size(); ++i) {
    const models::ClassMetrics& metrics = evaluation.class_metrics[i];
    if (metrics.support > 0) {
      present.push_back(metrics);
    } else {
      result->add_classes_without_images(class_names[i]);
    }
  }
  result->set_macro_f1(models::MacroF1(present));
  result->set_weighted_f1(evaluation.weighted_f1);
  result->set_ece(evaluation.reliability.ece);
  if (evaluation.calibrated.has_value()) result->set_calibrated_ece(evaluation.calibrated->ece);
}

}  // namespace

absl::StatusOr<v1::WorkerEvent> RunEvaluation(const v1::Assignment& assignment,
                                              const models::StopSignal* stop,
                                              const std::function<void(v1::WorkerEvent)>& report) {
  const auto begin = std::chrono::steady_clock::now();
  const atelier::v1::EvaluationSpec& spec = assignment.evaluation().spec();
  report(PhaseEvent(v1::PHASE_PREPARING));
  const auto loaded = LoadDataset(assignment, stop);
  if (!loaded.ok()) return loaded.status();
  const auto archive = models::ReadModelArchive(assignment.evaluation().archive(), spec.sha256());
  if (!archive.ok()) return archive.status();
  const auto model = models::TrainedModelOf(*archive);
  if (!model.ok()) return model.status();
  const auto images = ImagesOf(**loaded, spec.split());
  if (!images.ok()) return images.status();
  const auto dataset = AsTheModelNames(**loaded, *images, archive->class_names);
  if (!dataset.ok()) return dataset.status();

  report(PhaseEvent(v1::PHASE_EVALUATING));
  ImageProgress progress(report);
  models::EvaluationOptions options;
  options.threads = std::max(1, spec.cores());
  if (assignment.evaluation().has_temperature()) {
    options.temperature = assignment.evaluation().temperature();
  }
  options.progress = [&](std::int64_t done) { progress.Tell(done, images->size()); };
  const auto evaluation =
      models::Evaluate(*model, **dataset, models::SplitName::kTest, options, stop);
  if (!evaluation.ok()) return evaluation.status();
  spdlog::info("loss {:.4f}, accuracy {:.4f}", evaluation->loss, evaluation->accuracy);

  v1::WorkerEvent event;
  v1::ScoringOutcome* outcome = event.mutable_scoring_outcome();
  atelier::v1::EvaluationResult* result = outcome->mutable_evaluation();
  FillEvaluation(*evaluation, archive->class_names, result);
  if (options.temperature.has_value()) result->set_temperature(*options.temperature);
  result->set_dataset_checksum((*loaded)->checksum());
  result->mutable_warnings()->Assign((*loaded)->warnings().begin(), (*loaded)->warnings().end());
  FillConfusionMatrix(*evaluation, archive->class_names, outcome->mutable_confusion_matrix());
  FillPredictions(evaluation->predictions, outcome->mutable_predictions());
  result->set_seconds(SecondsSince(begin));
  return event;
}

absl::StatusOr<v1::WorkerEvent> RunCheck(const v1::Assignment& assignment,
                                         const models::StopSignal* stop,
                                         const std::function<void(v1::WorkerEvent)>& report) {
  const auto begin = std::chrono::steady_clock::now();
  const atelier::v1::CheckSpec& spec = assignment.check();
  report(PhaseEvent(v1::PHASE_PREPARING));
  const auto dataset = LoadDataset(assignment, stop);
  if (!dataset.ok()) return dataset.status();
  const auto images = ImagesOf(**dataset, spec.split());
  if (!images.ok()) return images.status();

  report(PhaseEvent(v1::PHASE_CHECKING));
  const auto findings = models::FindingsOf(**dataset, stop);
  if (!findings.ok()) return findings.status();
  for (const std::string& finding : *findings) spdlog::warn("{}", finding);
  ImageProgress progress(report);
  models::LabelCheckOptions options;
  options.folds = spec.folds();
  options.seed = static_cast<std::uint64_t>(spec.seed());
  options.threads = std::max(1, spec.cores());
  options.stop = stop;
  options.progress = [&](std::int64_t done, std::int64_t total) { progress.Tell(done, total); };
  options.folders = {assignment.attempt_dir()};
  options.folders.insert(options.folders.end(), assignment.earlier_attempt_dirs().begin(),
                         assignment.earlier_attempt_dirs().end());
  options.log = [](const std::string& sentence) { spdlog::info("{}", sentence); };
  const auto check =
      models::CheckLabels(*images, (*dataset)->shape(), (*dataset)->class_names(), options);
  if (!check.ok()) return check.status();
  spdlog::info("{} suspicious labels; {:.4f} of all are guessed", check->suspicious.size(),
               check->agreement);

  v1::WorkerEvent event;
  v1::ScoringOutcome* outcome = event.mutable_scoring_outcome();
  atelier::v1::CheckResult* result = outcome->mutable_check();
  result->mutable_findings()->Assign(findings->begin(), findings->end());
  result->set_images(images->size());
  result->set_suspicious_count(static_cast<std::int64_t>(check->suspicious.size()));
  result->set_agreement(check->agreement);
  result->set_dataset_checksum((*dataset)->checksum());
  models::Evaluation guesses;
  guesses.accuracy = check->agreement;
  guesses.confusion = check->confusion;
  guesses.class_metrics = models::ClassMetricsOf(check->confusion);
  FillConfusionMatrix(guesses, (*dataset)->class_names(), outcome->mutable_confusion_matrix());
  std::vector<models::Prediction> kept = check->suspicious;
  kept.resize(std::min(kept.size(), kMaxSuspicious));
  FillPredictions(kept, outcome->mutable_predictions());
  result->set_seconds(SecondsSince(begin));
  return event;
}

}  // namespace atelier::worker
