// Convolutions in LibTorch. Private to models/: it needs LibTorch's headers. Throws what LibTorch
// throws. Thread-safe: free functions and an immutable class.
#ifndef ATELIER_MODELS_TORCH_CONVOLUTION_H_
#define ATELIER_MODELS_TORCH_CONVOLUTION_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "models/base/image_shape.h"
#include "models/network/layer_plan.h"
#include "models/torch/libtorch.h"

namespace atelier::models {

// Whether oneDNN computes with the tensor: float32 on the processor.
bool HasOneDnn(const at::Tensor& x);

// The convolution of a window. `bias` may be undefined.
at::Tensor Convolve(const Window& window, int64_t groups, const at::Tensor& x,
                    const at::Tensor& weight, const at::Tensor& bias, bool training);

// A convolution made ready once: its weights in the order that oneDNN is fastest with, and with
// `relu` the ReLU that follows it in the same pass over the output. LibTorch does so with frozen
// TorchScript.
class PackedConvolution {
 public:
  // `input` is the size of images to expect; others are computed, too. `bias` may be undefined.
  // Nothing where LibTorch has no such convolution, or oneDNN does not compute with the weights.
  static std::optional<PackedConvolution> Make(const Window& window, int64_t groups,
                                               const ImageShape& input, const at::Tensor& weight,
                                               const at::Tensor& bias, bool relu);

  at::Tensor Run(at::Tensor x) const;

 private:
  PackedConvolution(const Window& window, c10::IValue context)
      : window_(window), context_(std::move(context)) {}

  Window window_;
  c10::IValue context_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_CONVOLUTION_H_
