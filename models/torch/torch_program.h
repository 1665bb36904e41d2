// A trained network as LibTorch computes it, on a device: for GPUs what InferenceProgram is for the
// processor. Private to models/. Thread-safe.
#ifndef ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_
#define ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_

#include <memory>

#include "absl/types/span.h"
#include "models/kernels/inference_program.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"

namespace atelier::models {

class TorchProgram {
 public:
  // Copies the weights to the device. Requires a valid model. Throws what LibTorch throws.
  TorchProgram(const TrainedModel& model, Device device);
  ~TorchProgram();

  // As InferenceProgram::Run. Throws what LibTorch throws.
  void Run(absl::Span<const PixelSpan> parts, float* probabilities) const;

 private:
  struct Network;
  const std::unique_ptr<const Network> network_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_
