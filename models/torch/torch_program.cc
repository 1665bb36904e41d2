#include "models/torch/torch_program.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "models/torch/folded_network.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// Images that the processor computes at once: their feature maps are what a call holds, and oneDNN
// prepares itself once for every number of images there is.
constexpr int64_t kProcessorBatch = 32;

at::Tensor TensorOf(const NetworkPlan& plan, const PixelSpan& part) {
  return std::visit([&](const auto& pixels) { return ImagesTensor(plan, pixels); }, part);
}

}  // namespace

struct TorchProgram::Network {
  FoldedNetwork folded;
  at::Device device;

  // N×classes on the processor.
  at::Tensor Probabilities(const at::Tensor& images) const {
    return at::softmax(InferenceLogits(folded.plan, folded.tensors, images.to(device)), 1)
        .to(at::kCPU)
        .contiguous();
  }
};

TorchProgram::TorchProgram(const TrainedModel& model, Device device)
    : InferenceNetwork(model.architecture), network_([&] {
        const at::InferenceMode inference;
        auto network =
            std::make_unique<Network>(Network{FoldBatchNorms(model), TorchDevice(device)});
        for (at::Tensor& tensor : network->folded.tensors) tensor = tensor.to(network->device);
        return network;
      }()) {}

TorchProgram::~TorchProgram() = default;

void TorchProgram::Run(absl::Span<const PixelSpan> parts, float* probabilities) const {
  UseOneTorchThread();
  const at::InferenceMode inference;
  std::vector<at::Tensor> images;
  for (const PixelSpan& part : parts) images.push_back(TensorOf(network_->folded.plan, part));
  const at::Tensor all = images.size() == 1 ? images.front() : at::cat(images);
  const int64_t most = network_->device.is_cpu() ? kProcessorBatch : all.size(0);
  for (int64_t first = 0; first < all.size(0); first += most) {
    const at::Tensor answer =
        network_->Probabilities(all.narrow(0, first, std::min(most, all.size(0) - first)));
    probabilities = std::copy_n(answer.data_ptr<float>(), answer.numel(), probabilities);
  }
}

int64_t TorchProgram::memory_bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : network_->folded.tensors)
    bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace atelier::models
