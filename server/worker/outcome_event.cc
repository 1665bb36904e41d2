#include "server/worker/outcome_event.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "models/training/evaluation.h"

namespace atelier::worker {
namespace {

// An outcome must fit into one message (launch::kMaxWorkerMessageBytes). Of a larger test set the
// predictions of the most certainly right images are left out.
constexpr std::size_t kMaxPredictions = 1'000'000;

void FillCalibration(const models::TrainingOutcome& outcome, const models::Evaluation& evaluation,
                     atelier::v1::TrainingResult* result) {
  if (outcome.calibration.has_value()) {
    result->set_temperature(outcome.calibration->temperature);
    result->set_validation_ece(outcome.calibration->validation_ece);
    result->set_calibrated_validation_ece(outcome.calibration->calibrated_validation_ece);
  }
  result->set_test_ece(evaluation.reliability.ece);
  if (evaluation.calibrated.has_value()) {
    result->set_calibrated_test_ece(evaluation.calibrated->ece);
  }
}

void FillResult(const models::TrainingOutcome& outcome, const models::Evaluation& evaluation,
                const models::Architecture& architecture, atelier::v1::TrainingResult* result) {
  const models::EpochMetrics& best =
      outcome.history[static_cast<std::size_t>(outcome.best_epoch - 1)];
  result->set_test_accuracy(evaluation.accuracy);
  result->set_test_loss(evaluation.loss);
  if (evaluation.top5_accuracy.has_value()) {
    result->set_test_top5_accuracy(*evaluation.top5_accuracy);
  }
  result->set_test_macro_f1(evaluation.macro_f1);
  result->set_test_weighted_f1(evaluation.weighted_f1);
  FillCalibration(outcome, evaluation, result);
  result->set_parameter_count(architecture.ParameterCount());
  result->set_best_epoch(static_cast<std::int32_t>(outcome.best_epoch));
  result->set_training_seconds(outcome.training_seconds);
  result->set_images_per_second(outcome.images_per_second);
  result->set_compute_path(outcome.path == models::ComputePath::kKernels
                               ? atelier::v1::COMPUTE_PATH_KERNELS
                               : atelier::v1::COMPUTE_PATH_LIBTORCH);
  result->set_epochs_trained(static_cast<std::int32_t>(outcome.history.size()));
  result->set_stopped_early(outcome.end == models::TrainingOutcome::End::kStopped);
  result->set_diverged(outcome.end == models::TrainingOutcome::End::kDiverged);
  result->set_validation_loss(best.validation_loss);
  result->set_validation_accuracy(best.validation_accuracy);
  std::optional<double> bfloat16_accuracy;
  if (outcome.bfloat16_validation.has_value()) {
    bfloat16_accuracy = outcome.bfloat16_validation->accuracy;
    result->set_bfloat16_validation_accuracy(*bfloat16_accuracy);
  }
  const models::Precision serving =
      models::ServingPrecision(best.validation_accuracy, bfloat16_accuracy);
  result->set_serving_precision(serving == models::Precision::kBfloat16
                                    ? atelier::v1::PRECISION_BFLOAT16
                                    : atelier::v1::PRECISION_FLOAT32);
}

void FillBins(const models::Reliability& reliability,
              google::protobuf::RepeatedPtrField<atelier::v1::ReliabilityBin>* bins) {
  for (const models::ReliabilityBin& bin : reliability.bins) {
    atelier::v1::ReliabilityBin* added = bins->Add();
    added->set_images(bin.images);
    added->set_confidence(bin.confidence);
    added->set_accuracy(bin.accuracy);
  }
}

}  // namespace

void FillConfusionMatrix(const models::Evaluation& evaluation,
                         const std::vector<std::string>& class_names,
                         atelier::v1::ConfusionMatrix* matrix) {
  matrix->mutable_class_names()->Assign(class_names.begin(), class_names.end());
  for (const std::vector<std::int64_t>& counts : evaluation.confusion) {
    matrix->add_rows()->mutable_counts()->Assign(counts.begin(), counts.end());
  }
  for (const models::ClassMetrics& metrics : evaluation.class_metrics) {
    atelier::v1::ClassMetrics* figures = matrix->add_class_metrics();
    figures->set_precision(metrics.precision);
    figures->set_recall(metrics.recall);
    figures->set_f1(metrics.f1);
    figures->set_support(metrics.support);
  }
  matrix->set_accuracy(evaluation.accuracy);
  FillBins(evaluation.reliability, matrix->mutable_reliability());
  if (evaluation.calibrated.has_value()) {
    FillBins(*evaluation.calibrated, matrix->mutable_calibrated_reliability());
  }
}

void FillPredictions(const std::vector<models::Prediction>& predictions,
                     google::protobuf::RepeatedPtrField<atelier::v1::Prediction>* messages) {
  const std::size_t count = std::min(predictions.size(), kMaxPredictions);
  for (std::size_t i = 0; i < count; ++i) {
    const models::Prediction& made = predictions[i];
    atelier::v1::Prediction* prediction = messages->Add();
    prediction->set_index(made.index);
    prediction->set_true_class(static_cast<std::int32_t>(made.true_class));
    prediction->set_predicted_class(static_cast<std::int32_t>(made.predicted_class));
    prediction->set_probability(made.probability);
    prediction->set_true_probability(made.true_probability);
  }
}

v1::WorkerEvent OutcomeEvent(const models::ArchiveContents& contents,
                             const std::string& archive_name, const models::ArchiveInfo& archive,
                             const models::Dataset& dataset) {
  v1::WorkerEvent event;
  v1::Outcome* outcome = event.mutable_outcome();
  FillResult(contents.outcome, contents.evaluation, contents.model.architecture,
             outcome->mutable_result());
  outcome->mutable_result()->set_trainable_parameter_count(
      models::TrainedParameterCount(contents.model.architecture, contents.options.freeze));
  const atelier::v1::Network& network = contents.model.architecture.network;
  if (network.has_standardization()) {
    *outcome->mutable_result()->mutable_standardization() = network.standardization();
  }
  outcome->mutable_result()->set_dataset_checksum(contents.dataset_checksum);
  outcome->mutable_result()->mutable_warnings()->Add(dataset.warnings().begin(),
                                                     dataset.warnings().end());
  for (const std::string& warning : contents.outcome.warnings) {
    outcome->mutable_result()->add_warnings(warning);
  }
  FillConfusionMatrix(contents.evaluation, contents.class_names,
                      outcome->mutable_confusion_matrix());
  FillPredictions(contents.evaluation.predictions, outcome->mutable_predictions());
  outcome->set_archive(archive_name);
  outcome->set_sha256(archive.sha256);
  outcome->set_size_bytes(archive.size_bytes);
  for (std::int64_t size :
       {dataset.shape().channels, dataset.shape().height, dataset.shape().width}) {
    outcome->add_image_shape(static_cast<std::int32_t>(size));
  }
  return event;
}

}  // namespace atelier::worker
