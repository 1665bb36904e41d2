// Whether the files that a training leaves behind answer as the network they were made from.
// Thread-safe: a free function.
#ifndef ATELIER_MODELS_ARCHIVE_EXPORT_CHECK_H_
#define ATELIER_MODELS_ARCHIVE_EXPORT_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/network/trained_model.h"

namespace atelier::models {

// Largest differences of a probability.
struct ExportDifferences {
  // Between model.pt and the network as it classifies in float32.
  double torchscript = 0;
  // Between model.onnx and model.pt.
  double onnx = 0;
};

// Rounding differs by far less, a wrong file by far more.
inline constexpr double kExportTolerance = 1e-3;

// Reads an archive back from the disk, and classifies images (N×C×H×W bytes, at least one) with
// `model`, with its model.pt and with its model.onnx. kInternal, naming file and difference, if
// they are further apart than kExportTolerance; errors as ReadModelArchive.
absl::StatusOr<ExportDifferences> CheckExports(const TrainedModel& model,
                                               const std::string& archive_path,
                                               absl::Span<const uint8_t> images);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_EXPORT_CHECK_H_
