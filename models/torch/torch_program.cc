#include "models/torch/torch_program.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "models/torch/convolution.h"
#include "models/torch/folded_network.h"
#include "models/torch/network.h"
#include "models/torch/packed_convolution.h"

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

// As the weight of a convolution of one pixel, the only form in which oneDNN keeps a matrix in its
// own order.
at::Tensor PackedMatrix(const at::Tensor& matrix) {
  const at::Tensor pixel = matrix.reshape({matrix.size(0), matrix.size(1), 1, 1});
  return at::mkldnn_reorder_conv2d_weight(pixel.to_mkldnn(), {0, 0}, {1, 1}, {1, 1}, /*groups=*/1);
}

// Puts the weights into the order in which InferenceLogits is fastest with them.
class Packing {
 public:
  explicit Packing(std::vector<at::Tensor>& tensors) : next_(tensors.data()) {}

  void Pack(const std::vector<LayerPlan>& layers) {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].kind() == v1::Layer::kConvolution) {
        const bool relu =
            i + 1 < layers.size() && layers[i + 1].layer.activation() == v1::ACTIVATION_RELU;
        PackConvolution(layers[i], relu);
        continue;
      }
      for (size_t n = 0; n < layers[i].tensors.size(); ++n) PackOther(*next_++);
      Pack(layers[i].body);
    }
  }

  PackedConvolutions TakeConvolutions() { return std::move(convolutions_); }

 private:
  void PackConvolution(const LayerPlan& layer, bool relu) {
    at::Tensor& weight = *next_++;
    const bool biased = layer.layer.convolution().bias();
    const at::Tensor bias = biased ? *next_++ : at::Tensor();
    auto packed = PackedConvolution::Make(layer, weight, bias, relu);
    if (packed == nullptr) return PackOther(weight);
    convolutions_.push_back(std::move(packed));
    weight = at::Tensor();
  }

  static void PackOther(at::Tensor& tensor) {
    if (tensor.dim() == 2 && HasOneDnn(tensor)) tensor = PackedMatrix(tensor);
    // As the images are: oneDNN reorders others at every call.
    if (tensor.dim() == 4 && !tensor.is_mkldnn()) {
      tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
    }
  }

  at::Tensor* next_;
  PackedConvolutions convolutions_;
};

}  // namespace

struct TorchProgram::Network {
  Network(const TrainedModel& model, Device on)
      : folded(FoldBatchNorms(model)),
        device(TorchDevice(on)),
        processor_batch(ProcessorBatch(folded.plan)) {
    for (at::Tensor& tensor : folded.tensors) {
      tensor = tensor.to(device);
      memory_bytes += static_cast<int64_t>(tensor.nbytes());
    }
    Packing packing(folded.tensors);
    packing.Pack(folded.plan.layers);
    convolutions = packing.TakeConvolutions();
  }

  FoldedNetwork folded;
  PackedConvolutions convolutions;
  int64_t memory_bytes = 0;  // Of the weights.
  at::Device device;
  int64_t processor_batch;

  // N×classes on the processor.
  at::Tensor Probabilities(const at::Tensor& images) const {
    return at::softmax(
               InferenceLogits(folded.plan, folded.tensors, images.to(device), convolutions), 1)
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

int64_t TorchProgram::memory_bytes() const { return network_->memory_bytes; }

}  // namespace atelier::models
