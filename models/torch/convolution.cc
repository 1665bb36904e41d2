#include "models/torch/convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>
#include <utility>
#include <vector>

namespace atelier::models {
namespace {

// Images at once that packed weights are meant for.
constexpr int64_t kPackedBatch = 8;

// LibTorch's convolutions pad opposite sides alike.
at::Tensor PadUnevenly(const Window& window, const at::Tensor& x) {
  if (window.symmetric()) return x;
  return at::constant_pad_nd(x, {window.left, window.right, window.top, window.bottom});
}

std::vector<int64_t> Padding(const Window& window) {
  if (!window.symmetric()) return {0, 0};
  return {window.top, window.left};
}

std::vector<int64_t> Stride(const Window& window) {
  return {window.row_stride, window.column_stride};
}

std::vector<int64_t> Dilation(const Window& window) { return {window.dilation, window.dilation}; }

c10::optional<at::Tensor> IfDefined(const at::Tensor& tensor) {
  return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
}

// Calls an operator that LibTorch has no C++ function for.
c10::IValue CallOperator(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments) {
  op.callBoxed(&arguments);
  return std::move(arguments.front());
}

c10::optional<c10::OperatorHandle> FindOperator(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""});
}

}  // namespace

bool HasOneDnn(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && at::Context::hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

// For single images at::conv2d would leave oneDNN for a loop five times slower; training has none,
// and needs at::conv2d's backward.
at::Tensor Convolve(const Window& window, int64_t groups, const at::Tensor& x,
                    const at::Tensor& weight, const at::Tensor& bias, bool training) {
  const at::Tensor padded = PadUnevenly(window, x);
  if (!training && HasOneDnn(x)) {
    return at::mkldnn_convolution(padded, weight, IfDefined(bias), Padding(window), Stride(window),
                                  Dilation(window), groups);
  }
  const at::ScalarType type = x.scalar_type();
  return at::conv2d(padded, weight.to(type),
                    IfDefined(bias.defined() ? bias.to(type) : at::Tensor()), Stride(window),
                    Padding(window), Dilation(window), groups);
}

std::optional<PackedConvolution> PackedConvolution::Make(const Window& window, int64_t groups,
                                                         const ImageShape& input,
                                                         const at::Tensor& weight,
                                                         const at::Tensor& bias, bool relu) {
  const auto pack = FindOperator("mkldnn_prepacked::conv2d_prepack");
  if (!pack || !FindOperator("mkldnn_prepacked::conv2d_run") || !HasOneDnn(weight)) {
    return std::nullopt;
  }
  std::vector<int64_t> size = {kPackedBatch, input.channels, input.height, input.width};
  if (!window.symmetric()) {
    size[2] += window.top + window.bottom;
    size[3] += window.left + window.right;
  }
  return PackedConvolution(
      window,
      CallOperator(*pack, {weight, IfDefined(bias), Stride(window), Padding(window),
                           Dilation(window), groups, size, std::string(relu ? "relu" : "none")}));
}

at::Tensor PackedConvolution::Run(at::Tensor x) const {
  static const c10::OperatorHandle run = *FindOperator("mkldnn_prepacked::conv2d_run");
  return CallOperator(run, {PadUnevenly(window_, x), context_}).toTensor();
}

}  // namespace atelier::models
