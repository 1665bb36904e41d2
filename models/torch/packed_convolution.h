// A trained convolution made ready once: its weights in the order in which they are computed
// fastest, with the ReLU that follows it. By our own kernels where they have its kind, else by
// oneDNN as LibTorch has it for frozen TorchScript. Private to models/: it needs LibTorch's
// headers. Throws what LibTorch throws. Thread-safe.
#ifndef ATELIER_MODELS_TORCH_PACKED_CONVOLUTION_H_
#define ATELIER_MODELS_TORCH_PACKED_CONVOLUTION_H_

#include <memory>

#include "models/network/layer_plan.h"
#include "models/torch/libtorch.h"

namespace atelier::models {

class PackedConvolution {
 public:
  virtual ~PackedConvolution() = default;

  // Of a plan's layer; `bias` may be undefined. Null where nothing computes with such weights, as
  // on a GPU.
  static std::unique_ptr<const PackedConvolution> Make(const LayerPlan& layer,
                                                       const at::Tensor& weight,
                                                       const at::Tensor& bias, bool relu);

  // Images and result N×C×H×W, the result with its channels last in memory.
  virtual at::Tensor Run(const at::Tensor& images) const = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_PACKED_CONVOLUTION_H_
