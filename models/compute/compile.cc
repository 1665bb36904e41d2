#include "models/compute/compile.h"

#include "models/kernels/coverage.h"
#include "models/kernels/inference_program.h"
#include "models/network/torch_library.h"

namespace atelier::models {

std::unique_ptr<const InferenceNetwork> Compile(const TrainedModel& model,
                                                const CompileOptions& options) {
  if (options.path_choice == PathChoice::kAutomatic &&
      KernelsCoverInference(model.architecture, options.device).ok()) {
    return std::make_unique<const InferenceProgram>(model, options.precision,
                                                    options.product_rounding);
  }
  return TorchLibrary::Get().Compile(model, options.device);
}

}  // namespace atelier::models
