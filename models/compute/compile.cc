#include "models/compute/compile.h"

#include "models/kernels/coverage.h"
#include "models/kernels/inference_program.h"
#include "models/torch/torch_program.h"

namespace atelier::models {

std::unique_ptr<const InferenceNetwork> Compile(const TrainedModel& model,
                                                const CompileOptions& options) {
  if (options.path_choice == PathChoice::kAutomatic &&
      KernelsCoverInference(model.architecture, options.device).ok()) {
    return std::make_unique<const InferenceProgram>(model, options.precision,
                                                    options.round_products);
  }
  return std::make_unique<const TorchProgram>(model, options.device);
}

}  // namespace atelier::models
