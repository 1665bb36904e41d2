// A trained network as LibTorch computes it, any network on any device: the general path, where
// InferenceProgram is the fast one for what the kernels cover. Private to models/. Thread-safe:
// each call computes on its own thread alone, which it leaves as UseOneTorchThread does.
#ifndef ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_
#define ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_

#include <memory>

#include "absl/types/span.h"
#include "models/network/device.h"
#include "models/network/inference_network.h"
#include "models/network/trained_model.h"

namespace atelier::models {

class TorchProgram : public InferenceNetwork {
 public:
  // Copies the weights to the device. Requires a valid model. Throws what LibTorch throws.
  TorchProgram(const TrainedModel& model, Device device);
  ~TorchProgram() override;

  void Run(absl::Span<const PixelSpan> parts, float* probabilities) const override;
  int64_t memory_bytes() const override;
  Precision precision() const override { return Precision::kFloat32; }
  ComputePath path() const override { return ComputePath::kLibTorch; }

 private:
  struct Network;
  const std::unique_ptr<const Network> network_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_TORCH_PROGRAM_H_
