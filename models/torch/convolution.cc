#include "models/torch/convolution.h"

namespace atelier::models {
namespace {

c10::optional<at::Tensor> IfDefined(const at::Tensor& tensor) {
  return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
}

}  // namespace

bool HasOneDnn(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && at::Context::hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

at::Tensor PadUnevenly(const Window& window, const at::Tensor& x) {
  if (window.symmetric()) return x;
  return at::constant_pad_nd(x, {window.left, window.right, window.top, window.bottom});
}

std::vector<int64_t> PaddingOf(const Window& window) {
  if (!window.symmetric()) return {0, 0};
  return {window.top, window.left};
}

std::vector<int64_t> StrideOf(const Window& window) {
  return {window.row_stride, window.column_stride};
}

std::vector<int64_t> DilationOf(const Window& window) { return {window.dilation, window.dilation}; }

// For single images at::conv2d would leave oneDNN for a loop five times slower; training has none,
// and needs at::conv2d's backward.
at::Tensor Convolve(const Window& window, int64_t groups, const at::Tensor& x,
                    const at::Tensor& weight, const at::Tensor& bias, bool training) {
  const at::Tensor padded = PadUnevenly(window, x);
  if (!training && HasOneDnn(x)) {
    return at::mkldnn_convolution(padded, weight, IfDefined(bias), PaddingOf(window),
                                  StrideOf(window), DilationOf(window), groups);
  }
  const at::ScalarType type = x.scalar_type();
  return at::conv2d(padded, weight.to(type),
                    IfDefined(bias.defined() ? bias.to(type) : at::Tensor()), StrideOf(window),
                    PaddingOf(window), DilationOf(window), groups);
}

}  // namespace atelier::models
