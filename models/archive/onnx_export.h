// The network as ONNX, the form in which other inference programs load it: standard operators
// alone, any batch size; and its weights back from there. Private to models/, without ONNX's
// headers. Thread-safe: free functions.
#ifndef ATELIER_MODELS_ARCHIVE_ONNX_EXPORT_H_
#define ATELIER_MODELS_ARCHIVE_ONNX_EXPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/network/trained_model.h"

namespace atelier::models {

// Version of ONNX's operator set that a model.onnx asks for.
inline constexpr int kOnnxOpset = 13;

// The bytes of a model.onnx: input `images`, float N×C×H×W in [0,1], any N; output `probabilities`,
// N×classes. The nodes are Conv, Relu, BatchNormalization, MaxPool, Flatten, Gemm and Softmax; the
// initialisers are called as in TrainedModel; the metadata's `class_names` is a JSON list. Requires
// a valid model. kInvalidArgument if it is larger than the 2 GiB that ONNX can hold; throws
// nlohmann's exception for a name that is no UTF-8.
absl::StatusOr<std::string> SerializeOnnx(const TrainedModel& model,
                                          const std::vector<std::string>& class_names);

// The network whose initialisers a model.onnx of ours holds, bit for bit. kInternal naming the
// tensor that is missing or of another shape or type than the architecture's.
absl::StatusOr<TrainedModel> ParseOnnx(const std::string& bytes, const Architecture& architecture);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_ONNX_EXPORT_H_
