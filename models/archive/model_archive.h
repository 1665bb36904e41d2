// model.tar.gz, the file a training leaves behind: the network as TorchScript with everything
// needed to know what it is. Written atomically, read with suspicion. Thread-safe: free functions
// and values. Entries, all at the top:
//   model.pt               TorchScript, float N×C×H×W in [0,1] → N×classes probabilities
//   model.onnx             the same as ONNX (onnx_export.h); archives before 0.2 have none
//   class_names.json       ["T-shirt/top", …]
//   metadata.json          hyperparameters, metrics, counts, checksum, version; with
//                          bfloat16_validation_accuracy it may be served so (ServingPrecision),
//                          where bfloat16_products is true with products rounded, too, and where
//                          bfloat16_transformed is with transformed ones (ProductRounding);
//                          with temperature it may be asked for calibrated probabilities; with
//                          start it did not begin with new random weights (TrainingStart)
//   metrics.jsonl          one object an epoch, the words of EpochMetrics
//   confusion_matrix.json  {"class_names": […], "rows": [{"counts": […]}, …],
//                           "class_metrics": [{"precision": …, "recall": …, "f1": …, "support":
//                           …}], "reliability": [{"images": …, "confidence": …, "accuracy": …}]};
//                           "calibrated_reliability" is the same at the temperature; archives
//                           before 0.2 have neither
#ifndef ATELIER_MODELS_ARCHIVE_MODEL_ARCHIVE_H_
#define ATELIER_MODELS_ARCHIVE_MODEL_ARCHIVE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"

namespace atelier::models {

// What an archive is made from. The references must outlive the call.
struct ArchiveContents {
  const TrainedModel& model;
  const std::vector<std::string>& class_names;
  const TrainingOptions& options;
  const TrainingOutcome& outcome;
  // Of the test split.
  const Evaluation& evaluation;
  std::string dataset_name;
  std::string dataset_checksum;
  // The job that made it; may be empty.
  std::string job;
  // Of Atelier.
  std::string software_version;
};

struct ArchiveInfo {
  // Lower-case hexadecimal, of the whole file.
  std::string sha256;
  int64_t size_bytes = 0;
};

// Writes the archive beside `path` under another name, makes it durable and renames it, so `path`
// is the old file, the whole new one, or absent, whatever happens. kInternal if it cannot be
// written.
absl::StatusOr<ArchiveInfo> WriteModelArchive(const std::string& path,
                                              const ArchiveContents& contents);

// The contents of an archive, checked to be complete and to agree with each other. The JSON texts
// are as they stand in the archive.
struct ModelArchive {
  Architecture architecture;
  std::vector<std::string> class_names;
  // How it is to be served, by the accuracies in the metadata.
  Precision serving_precision = Precision::kFloat32;
  // How products were rounded where that was measured, too (CompileOptions::product_rounding).
  ProductRounding product_rounding = ProductRounding::kNone;
  // That calibrates its probabilities; archives before 0.2 have none.
  std::optional<double> temperature;
  // The TorchScript file.
  std::string model_pt;
  // The ONNX file; empty if the archive has none.
  std::string model_onnx;
  std::string metadata_json;
  std::string metrics_jsonl;
  std::string confusion_matrix_json;
};

// A larger file is no archive.
inline constexpr int64_t kMaxArchiveBytes = int64_t{2} << 30;

// Reads an archive. FailureReason kInternal with a sentence naming file and entry if it
// is missing, truncated, not a tar.gz, has an entry that is unknown, twice, too large, not a plain
// file or with a path, lacks one, or its JSON is damaged; also if `sha256` is given and is not that
// of the file. Nothing is written to disk.
absl::StatusOr<ModelArchive> ReadModelArchive(const std::string& path,
                                              absl::string_view sha256 = "");

// The network of an archive with its weights: those in model.onnx, or in model.pt if it has none.
// kInternal if that file is damaged or has not the tensors of the network that metadata.json
// describes.
absl::StatusOr<TrainedModel> TrainedModelOf(const ModelArchive& archive);

// The ONNX file of an archive, made of its TorchScript if it has none. kInternal if that is
// damaged.
absl::StatusOr<std::string> OnnxOf(const ModelArchive& archive);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_MODEL_ARCHIVE_H_
