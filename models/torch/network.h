// A network, computed with LibTorch layer by layer of its plan: a pure function of its tensors and
// a batch of images. Private to models/: it needs LibTorch's headers. Functions throw what LibTorch
// throws; public callers guard (exception_guard.h). Thread-safe for distinct tensors and for shared
// ones that nobody writes.
#ifndef ATELIER_MODELS_TORCH_NETWORK_H_
#define ATELIER_MODELS_TORCH_NETWORK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "models/base/random.h"
#include "models/data/dataset.h"
#include "models/network/layer_plan.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"
#include "models/torch/libtorch.h"
#include "models/torch/packed_convolution.h"

namespace atelier::models {

// The images of a split at `indices`, N×C×H×W floats in [0,1], channels last in memory if the
// network convolves.
at::Tensor GatherImages(const NetworkPlan& plan, const LabeledImages& images,
                        absl::Span<const int32_t> indices);
// The same of images side by side, N×C×H×W; bytes are divided by 255, floats are taken as they are.
at::Tensor ImagesTensor(const NetworkPlan& plan, absl::Span<const uint8_t> pixels);
at::Tensor ImagesTensor(const NetworkPlan& plan, absl::Span<const float> pixels);
// Their labels, N int64.
at::Tensor GatherLabels(const LabeledImages& images, absl::Span<const int32_t> indices);

// What a training pass needs beyond the tensors.
struct TrainingPass {
  RandomStream& dropout;
  Precision precision = Precision::kFloat32;
};

// Logits (N×classes, float32) with batch norm on the batch's statistics and dropout. `tensors` are
// in the order of TensorSpecsOf; the batch's statistics take the place of the running ones. Batch
// norm whose scale needs no gradient is frozen: it computes as in inference.
at::Tensor TrainingLogits(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                          at::Tensor images, TrainingPass pass);
// A network's convolutions in the order of its layers.
using PackedConvolutions = std::vector<std::unique_ptr<const PackedConvolution>>;

// Logits (N×classes, float32) with batch norm on the running statistics. `packed` are the network's
// convolutions, or none; with them their tensors are not read.
at::Tensor InferenceLogits(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                           at::Tensor images, const PackedConvolutions& packed = {});
// The same, and what each block makes of the images on the way there, first block first: N×C×H×W. A
// block is a convolution with what follows it up to the next convolution or the end of the image;
// the last convolution of a residual block includes its sum. Projections are not counted.
at::Tensor LogitsAndBlocks(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                           at::Tensor images, std::vector<at::Tensor>* blocks);

// Tensors that own a copy of the model's values, in its order.
std::vector<at::Tensor> TensorsOf(const TrainedModel& model);

// The numbers of a tensor of floats in the order of its dimensions, whatever it is in memory.
std::vector<float> NumbersOf(const at::Tensor& tensor);

// One LibTorch thread for what the calling thread computes from now on, and FlushDenormals: at this
// size LibTorch's own threads cost more than they bring, and results would depend on their number.
void UseOneTorchThread();

// LibTorch's name of a device.
at::Device TorchDevice(Device device);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_NETWORK_H_
