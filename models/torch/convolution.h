// Convolutions in LibTorch. Private to models/: it needs LibTorch's headers. Throws what LibTorch
// throws. Thread-safe: free functions.
#ifndef ATELIER_MODELS_TORCH_CONVOLUTION_H_
#define ATELIER_MODELS_TORCH_CONVOLUTION_H_

#include <cstdint>
#include <vector>

#include "models/network/layer_plan.h"
#include "models/torch/libtorch.h"

namespace atelier::models {

// Whether oneDNN computes with the tensor: float32 on the processor.
bool HasOneDnn(const at::Tensor& x);

// LibTorch's names of what a window is.
std::vector<int64_t> PaddingOf(const Window& window);
std::vector<int64_t> StrideOf(const Window& window);
std::vector<int64_t> DilationOf(const Window& window);

// The image with the margins of a window of which opposite ones differ, which LibTorch's
// convolutions do not know; else the image itself.
at::Tensor PadUnevenly(const Window& window, const at::Tensor& x);

// The convolution of a window. `bias` may be undefined.
at::Tensor Convolve(const Window& window, int64_t groups, const at::Tensor& x,
                    const at::Tensor& weight, const at::Tensor& bias, bool training);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_CONVOLUTION_H_
