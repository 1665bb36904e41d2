#include "models/archive/model_archive.h"

#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/archive/onnx_export.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/files/durable_file.h"
#include "models/files/sha256.h"
#include "models/files/tar_gz.h"
#include "models/network/probabilities.h"
#include "models/network/torch_library.h"
#include "models/training/metrics_json.h"

namespace atelier::models {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t kMaxModelBytes = int64_t{2} << 30;
constexpr int64_t kMaxJsonBytes = int64_t{64} << 20;

absl::string_view EndName(TrainingOutcome::End end) {
  switch (end) {
    case TrainingOutcome::End::kFinished:
      return "finished";
    case TrainingOutcome::End::kEarlyStop:
      return "early_stop";
    case TrainingOutcome::End::kStopped:
      return "stopped";
    case TrainingOutcome::End::kDiverged:
      return "diverged";
    case TrainingOutcome::End::kSuspended:
      return "suspended";
  }
  return "";
}

// `none`, `balanced` or a list.
ordered_json ClassWeightsJson(const TrainingOptions& options) {
  if (options.balance_classes) return "balanced";
  if (options.class_weights.empty()) return "none";
  return options.class_weights;
}

ordered_json HyperparametersOf(const TrainingOptions& options) {
  return {{"epochs", options.epochs},
          {"batch_size", options.batch_size},
          {"optimizer", std::string(OptimizerName(options.optimizer))},
          {"learning_rate", options.learning_rate},
          {"schedule", std::string(ScheduleName(options.schedule))},
          {"warmup_fraction", options.warmup_fraction},
          {"step_factor", options.step_factor},
          {"step_epochs", options.step_epochs},
          {"schedule_start_epoch", options.schedule_start_epoch},
          {"freeze", options.freeze},
          {"momentum", options.momentum},
          {"nesterov", options.nesterov},
          {"max_gradient_norm", options.max_gradient_norm},
          {"class_weights", ClassWeightsJson(options)},
          {"monitor", std::string(MonitorName(options.monitor))},
          {"min_delta", options.min_delta},
          {"dropout", options.architecture.dropout},
          {"horizontal_flip", options.augmentation.horizontal_flip},
          {"shift", options.augmentation.shift},
          {"erasing", options.augmentation.erasing},
          {"random_resized_crop", options.augmentation.random_resized_crop},
          {"rotation", options.augmentation.rotation},
          {"color_jitter", options.augmentation.color_jitter},
          {"standardize", options.architecture.network.has_standardization()},
          {"label_smoothing", options.label_smoothing},
          {"weight_decay", options.weight_decay},
          {"average_decay", options.average_decay},
          {"patience", options.patience},
          {"validation_fraction", options.validation_fraction},
          {"adam_beta1", options.adam_beta1},
          {"adam_beta2", options.adam_beta2},
          {"adam_epsilon", options.adam_epsilon},
          {"batch_norm_momentum", options.batch_norm_momentum},
          {"precision", std::string(PrecisionName(options.precision))},
          {"shards", options.shards}};
}

ordered_json StartJson(const TrainingStart& start) {
  ordered_json about;
  if (!start.model_version.empty()) {
    about = {{"model_version", start.model_version},
             {"sha256", start.sha256},
             {"taken_layers", start.taken_layers},
             {"new_layers", start.new_layers}};
  }
  if (!start.frozen_layers.empty()) about["frozen_layers"] = start.frozen_layers;
  if (!start.continued_job.empty()) {
    about["continued_job"] = start.continued_job;
    about["continued_epochs"] = start.continued_epochs;
  }
  return about;
}

// What some archives have.
void AddOptionalMetrics(const ArchiveContents& contents, ordered_json* metadata) {
  const Evaluation& evaluation = contents.evaluation;
  if (const TrainingStart& start = contents.options.start; start.any()) {
    (*metadata)["start"] = StartJson(start);
  }
  if (evaluation.top5_accuracy.has_value()) {
    (*metadata)["test_top5_accuracy"] = *evaluation.top5_accuracy;
  }
  if (evaluation.calibrated.has_value()) {
    (*metadata)["calibrated_test_ece"] = evaluation.calibrated->ece;
  }
  if (const auto& calibration = contents.outcome.calibration; calibration.has_value()) {
    (*metadata)["temperature"] = calibration->temperature;
    (*metadata)["validation_ece"] = calibration->validation_ece;
    (*metadata)["calibrated_validation_ece"] = calibration->calibrated_validation_ece;
  }
}

std::string MetadataJson(const ArchiveContents& contents) {
  const Architecture& architecture = contents.model.architecture;
  const TrainingOutcome& outcome = contents.outcome;
  ordered_json metadata = {
      {"architecture", ordered_json::parse(architecture.ToJson())},
      {"preset", architecture.network.name()},
      {"hyperparameters", HyperparametersOf(contents.options)},
      {"seed", contents.options.seed},
      {"test_accuracy", contents.evaluation.accuracy},
      {"test_loss", contents.evaluation.loss},
      {"test_macro_f1", contents.evaluation.macro_f1},
      {"test_weighted_f1", contents.evaluation.weighted_f1},
      {"test_ece", contents.evaluation.reliability.ece},
      {"parameter_count", architecture.ParameterCount()},
      {"trainable_parameter_count", TrainedParameterCount(architecture, contents.options.freeze)},
      {"best_epoch", outcome.best_epoch},
      {"epochs_trained", outcome.history.size()},
      {"training_seconds", outcome.training_seconds},
      {"images_per_second", outcome.images_per_second},
      {"compute_path", std::string(ComputePathName(outcome.path))},
      {"end", std::string(EndName(outcome.end))},
      {"dataset", contents.dataset_name},
      {"dataset_checksum", contents.dataset_checksum},
      {"job", contents.job},
      {"software_version", contents.software_version}};
  if (outcome.best_epoch > 0) {
    const EpochMetrics& best = outcome.history[static_cast<size_t>(outcome.best_epoch - 1)];
    metadata["validation_loss"] = best.validation_loss;
    metadata["validation_accuracy"] = best.validation_accuracy;
    metadata["validation_macro_f1"] = best.validation_macro_f1;
    if (outcome.bfloat16_validation.has_value()) {
      metadata["bfloat16_validation_accuracy"] = outcome.bfloat16_validation->accuracy;
      const ProductRounding rounding = outcome.bfloat16_validation->product_rounding;
      metadata["bfloat16_products"] = rounding != ProductRounding::kNone;
      metadata["bfloat16_transformed"] = rounding == ProductRounding::kTransformed;
    }
  }
  AddOptionalMetrics(contents, &metadata);
  return metadata.dump(2) + "\n";
}

std::string MetricsJsonLines(const TrainingOutcome& outcome) {
  std::string lines;
  for (const EpochMetrics& metrics : outcome.history) {
    absl::StrAppend(&lines, EpochMetricsToJson(metrics).dump(), "\n");
  }
  return lines;
}

ordered_json BinsJson(const Reliability& reliability) {
  ordered_json bins = ordered_json::array();
  for (const ReliabilityBin& bin : reliability.bins) {
    bins.push_back(
        {{"images", bin.images}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  return bins;
}

std::string ConfusionMatrixJson(const Evaluation& evaluation,
                                const std::vector<std::string>& class_names) {
  ordered_json rows = ordered_json::array();
  for (const std::vector<int64_t>& counts : evaluation.confusion) {
    rows.push_back({{"counts", counts}});
  }
  ordered_json figures = ordered_json::array();
  for (const ClassMetrics& metrics : evaluation.class_metrics) {
    figures.push_back({{"precision", metrics.precision},
                       {"recall", metrics.recall},
                       {"f1", metrics.f1},
                       {"support", metrics.support}});
  }
  ordered_json matrix = {{"class_names", class_names},
                         {"rows", rows},
                         {"class_metrics", figures},
                         {"accuracy", evaluation.accuracy},
                         {"reliability", BinsJson(evaluation.reliability)}};
  if (evaluation.calibrated.has_value()) {
    matrix["calibrated_reliability"] = BinsJson(*evaluation.calibrated);
  }
  return matrix.dump() + "\n";
}

// Names and texts come from users and may hold bytes that are no UTF-8, at which dump throws.
absl::StatusOr<std::string> Pack(const ArchiveContents& contents) {
  if (absl::Status status = contents.model.Validate(); !status.ok()) {
    return Failure(FailureReason::kInternal, status.message());
  }
  absl::StatusOr<std::string> onnx = SerializeOnnx(contents.model, contents.class_names);
  if (!onnx.ok()) return Failure(FailureReason::kInternal, onnx.status().message());
  return PackTarGz(
      {{"metadata.json", MetadataJson(contents)},
       {"class_names.json", json(contents.class_names).dump() + "\n"},
       {"metrics.jsonl", MetricsJsonLines(contents.outcome)},
       {"confusion_matrix.json", ConfusionMatrixJson(contents.evaluation, contents.class_names)},
       {"model.onnx", *std::move(onnx)},
       {"model.pt", TorchLibrary::Get().SerializeTorchScript(contents.model)}});
}

// Takes the parts out of the entries. Throws nlohmann's exceptions.
absl::StatusOr<ModelArchive> Interpret(std::map<std::string, std::string> entries) {
  ModelArchive archive;
  archive.model_pt = std::move(entries["model.pt"]);
  archive.model_onnx = std::move(entries["model.onnx"]);
  archive.metadata_json = std::move(entries["metadata.json"]);
  archive.metrics_jsonl = std::move(entries["metrics.jsonl"]);
  archive.confusion_matrix_json = std::move(entries["confusion_matrix.json"]);
  json::parse(entries["class_names.json"]).get_to(archive.class_names);
  const json metadata = json::parse(archive.metadata_json);
  if (metadata.contains("bfloat16_validation_accuracy")) {
    archive.serving_precision =
        ServingPrecision(metadata.at("validation_accuracy").get<double>(),
                         metadata.at("bfloat16_validation_accuracy").get<double>());
    // Archives before 0.2 know of weights alone.
    if (metadata.value("bfloat16_products", false)) {
      archive.product_rounding = metadata.value("bfloat16_transformed", false)
                                     ? ProductRounding::kTransformed
                                     : ProductRounding::kDirect;
    }
  }
  if (metadata.contains("temperature")) {
    archive.temperature = metadata.at("temperature").get<double>();
    if (!(*archive.temperature >= kMinTemperature && *archive.temperature <= kMaxTemperature)) {
      return absl::InvalidArgumentError(absl::StrCat("the temperature in metadata.json is ",
                                                     *archive.temperature, "; it must be ",
                                                     kMinTemperature, " to ", kMaxTemperature));
    }
  }
  absl::StatusOr<Architecture> architecture =
      Architecture::FromJson(metadata.at("architecture").dump());
  if (!architecture.ok()) return architecture.status();
  archive.architecture = *std::move(architecture);
  if (static_cast<int64_t>(archive.class_names.size()) != archive.architecture.classes) {
    return absl::InvalidArgumentError(absl::StrCat("class_names.json has ",
                                                   archive.class_names.size(), " names for ",
                                                   archive.architecture.classes, " classes"));
  }
  return archive;
}

absl::Status Unreadable(const std::string& path, absl::string_view what) {
  return Failure(FailureReason::kInternal,
                 absl::StrCat("cannot read the model archive ", path, ": ", what));
}

}  // namespace

absl::StatusOr<ArchiveInfo> WriteModelArchive(const std::string& path,
                                              const ArchiveContents& contents) {
  absl::StatusOr<std::string> bytes =
      GuardExceptions("packing the model archive", [&] { return Pack(contents); });
  if (!bytes.ok()) return bytes.status();
  if (absl::Status status = WriteFileDurably(path, *bytes); !status.ok()) return status;
  return ArchiveInfo{Sha256Of(*bytes), static_cast<int64_t>(bytes->size())};
}

absl::StatusOr<ModelArchive> ReadModelArchive(const std::string& path, absl::string_view sha256) {
  absl::StatusOr<std::string> bytes = ReadWholeFile(path, kMaxArchiveBytes);
  if (!bytes.ok()) return Unreadable(path, bytes.status().message());
  if (!sha256.empty() && Sha256Of(*bytes) != sha256) {
    return Unreadable(path, absl::StrCat("its SHA-256 is not ", sha256, " as it was when stored"));
  }
  absl::StatusOr<std::map<std::string, std::string>> entries =
      UnpackTarGz(*bytes,
                  {{"metadata.json", kMaxJsonBytes},
                   {"class_names.json", kMaxJsonBytes},
                   {"metrics.jsonl", kMaxJsonBytes},
                   {"confusion_matrix.json", kMaxJsonBytes},
                   {"model.pt", kMaxModelBytes}},
                  {{"model.onnx", kMaxModelBytes}});
  if (!entries.ok()) return Unreadable(path, entries.status().message());
  try {
    absl::StatusOr<ModelArchive> archive = Interpret(*std::move(entries));
    if (!archive.ok()) return Unreadable(path, archive.status().message());
    return archive;
  } catch (const std::exception& error) {
    return Unreadable(path, absl::StrCat("its JSON is damaged: ", error.what()));
  }
}

absl::StatusOr<TrainedModel> TrainedModelOf(const ModelArchive& archive) {
  return GuardExceptions("reading the network", [&] {
    if (!archive.model_onnx.empty()) return ParseOnnx(archive.model_onnx, archive.architecture);
    return TorchLibrary::Get().ParseTorchScript(archive.model_pt, archive.architecture);
  });
}

absl::StatusOr<std::string> OnnxOf(const ModelArchive& archive) {
  if (!archive.model_onnx.empty()) return archive.model_onnx;
  const absl::StatusOr<TrainedModel> model = TrainedModelOf(archive);
  if (!model.ok()) return model.status();
  return GuardExceptions("exporting the network",
                         [&] { return SerializeOnnx(*model, archive.class_names); });
}

}  // namespace atelier::models
