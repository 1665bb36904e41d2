#include "models/torch/torch_program.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "models/torch/network.h"

namespace atelier::models {

struct TorchProgram::Network {
  Architecture architecture;
  at::Device device;
  std::vector<at::Tensor> tensors;
};

TorchProgram::TorchProgram(const TrainedModel& model, Device device)
    : network_([&] {
        const at::InferenceMode inference;
        auto network = std::make_unique<Network>(
            Network{model.architecture, TorchDevice(device), TensorsOf(model)});
        for (at::Tensor& tensor : network->tensors) tensor = tensor.to(network->device);
        return network;
      }()) {}

TorchProgram::~TorchProgram() = default;

void TorchProgram::Run(absl::Span<const PixelSpan> parts, float* probabilities) const {
  const at::InferenceMode inference;
  std::vector<at::Tensor> images;
  for (const PixelSpan& part : parts) {
    images.push_back(std::visit(
        [&](const auto& pixels) { return ImagesTensor(network_->architecture, pixels); }, part));
  }
  const at::Tensor batch = at::cat(images).to(network_->device);
  const at::Tensor answer =
      at::softmax(InferenceLogits(network_->architecture, network_->tensors, batch), 1)
          .to(at::kCPU)
          .contiguous();
  std::copy_n(answer.data_ptr<float>(), answer.numel(), probabilities);
}

}  // namespace atelier::models
