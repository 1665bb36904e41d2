// Classifies images with the network of an archive, compiled for inference (compile.h).
// Thread-safe: any number of threads may classify at once, each computing on its own.
#ifndef ATELIER_MODELS_ARCHIVE_PREDICTOR_H_
#define ATELIER_MODELS_ARCHIVE_PREDICTOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/pixel_span.h"
#include "models/network/architecture.h"
#include "models/network/compute_path.h"
#include "models/network/device.h"
#include "models/network/precision.h"

namespace atelier::models {

class Predictor {
 public:
  // Reads the archive, compiles its network and warms it up. Errors as ReadModelArchive and
  // TrainedModelOf. The model.pt of an archive without model.onnx must answer trial images as the
  // compiled network does in float32, else kInternal: nothing checked it when it was stored. Where
  // our kernels compute, the dense layers' weights are then kept as the archive says they are
  // served; LibTorch keeps them in float32. kInternal if there is no such device.
  static absl::StatusOr<std::unique_ptr<const Predictor>> Load(
      const std::string& archive_path, Device device = Device::kCpu,
      PathChoice path_choice = PathChoice::kAutomatic);
  ~Predictor();

  const ImageShape& input_shape() const;
  const std::vector<std::string>& class_names() const;
  const Architecture& architecture() const;
  // As it stands in the archive.
  const std::string& metadata_json() const;
  // As the archive has it, see ModelArchive. What Classify answers is not calibrated.
  std::optional<double> temperature() const;
  // Of the dense layers' compiled weights.
  Precision precision() const;
  // Bytes of the compiled weights.
  int64_t memory_bytes() const;
  // What classifies.
  ComputePath path() const;

  // `images` are any number N ≥ 1 of images side by side, N×C×H×W; the answer is N×classes
  // probabilities. Floats are in [0,1]; bytes are divided by 255. kInvalidArgument if the size is
  // no multiple of an image's or a float is not finite; kResourceExhausted, kInternal.
  absl::StatusOr<std::vector<float>> Classify(absl::Span<const float> images) const;
  absl::StatusOr<std::vector<float>> Classify(absl::Span<const uint8_t> images) const;
  // The same of all parts together, in their order. Floats are not checked.
  absl::StatusOr<std::vector<float>> Classify(absl::Span<const PixelSpan> parts) const;

 private:
  class Impl;
  explicit Predictor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_PREDICTOR_H_
