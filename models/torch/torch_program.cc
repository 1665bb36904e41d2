#include "models/torch/torch_program.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "models/torch/folded_network.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// The processor computes as many images at once as keep the largest feature maps within so many
// bytes: more memory comes from the kernel page by page at every layer, which takes longer than
// computing them. A few images at least, since oneDNN is slow for fewer.
constexpr int64_t kMapBytes = int64_t{2} << 20;
constexpr int64_t kLeastBatch = 8;
constexpr int64_t kMostBatch = 32;

int64_t ProcessorBatch(const NetworkPlan& plan) {
  int64_t largest = plan.input.size();
  ForEachLayer(plan.layers, [&largest](const LayerPlan& layer) {
    largest = std::max(largest, layer.output.size());
  });
  return std::clamp(kMapBytes / (largest * static_cast<int64_t>(sizeof(float))), kLeastBatch,
                    kMostBatch);
}

at::Tensor TensorOf(const NetworkPlan& plan, const PixelSpan& part) {
  return std::visit([&](const auto& pixels) { return ImagesTensor(plan, pixels); }, part);
}

}  // namespace

struct TorchProgram::Network {
  Network(const TrainedModel& model, Device on)
      : folded(FoldBatchNorms(model)),
        device(TorchDevice(on)),
        processor_batch(ProcessorBatch(folded.plan)) {
    for (at::Tensor& tensor : folded.tensors) tensor = PreparedForInference(tensor.to(device));
  }

  FoldedNetwork folded;
  at::Device device;
  int64_t processor_batch;

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
        return std::make_unique<const Network>(model, device);
      }()) {}

TorchProgram::~TorchProgram() = default;

void TorchProgram::Run(absl::Span<const PixelSpan> parts, float* probabilities) const {
  UseOneTorchThread();
  const at::InferenceMode inference;
  std::vector<at::Tensor> images;
  for (const PixelSpan& part : parts) images.push_back(TensorOf(network_->folded.plan, part));
  const at::Tensor all = images.size() == 1 ? images.front() : at::cat(images);
  const int64_t most = network_->device.is_cpu() ? network_->processor_batch : all.size(0);
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
