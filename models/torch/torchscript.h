// The network as TorchScript, the form in which Python and other LibTorch programs load it. Private
// to models/, but without LibTorch's headers; throws what LibTorch throws.
#ifndef ATELIER_MODELS_TORCH_TORCHSCRIPT_H_
#define ATELIER_MODELS_TORCH_TORCHSCRIPT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/network/trained_model.h"

namespace torch::jit {
struct Module;
}

namespace atelier::models {

// The bytes of a model.pt: a module whose forward takes float N×C×H×W in [0,1] and answers
// N×classes probabilities. Parameters are called as in TrainedModel, with '_' for '.'. Requires a
// valid model.
std::string SerializeTorchScript(const TrainedModel& model);

// The network whose tensors the module holds. kInternal naming the tensor that is missing or of
// another shape or type than the architecture's.
absl::StatusOr<TrainedModel> TensorsIn(const torch::jit::Module& module,
                                       const Architecture& architecture);

// What a tensor of TrainedModel is called there.
std::string TorchScriptName(absl::string_view tensor);

// The source of its forward, for that architecture.
std::string TorchScriptSource(const Architecture& architecture);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_TORCHSCRIPT_H_
