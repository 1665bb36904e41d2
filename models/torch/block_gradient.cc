#include "models/torch/block_gradient.h"

#include <c10/core/GradMode.h>

#include <variant>

#include "models/base/compute_thread.h"
#include "models/torch/libtorch.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// In the order of its dimensions, whatever it is in memory.
std::vector<float> NumbersOf(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().contiguous();
  const float* const values = plain.data_ptr<float>();
  return {values, values + plain.numel()};
}

}  // namespace

BlockGradient BlockGradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                              std::optional<int64_t> target) {
  UseOneTorchThread();
  const at::AutoGradMode gradients(true);
  const NetworkPlan plan = PlanOf(model.architecture);
  at::Tensor batch =
      std::visit([&](const auto& pixels) { return ImagesTensor(plan, pixels); }, image);
  // Of the weights no gradient is needed; without one of the image none would be kept at all.
  batch.set_requires_grad(true);
  std::vector<at::Tensor> blocks;
  const at::Tensor logits = LogitsAndBlocks(plan, TensorsOf(model), batch, &blocks)[0];
  at::Tensor maps = blocks[static_cast<size_t>(block - 1)];
  maps.retain_grad();
  BlockGradient result;
  result.probabilities = NumbersOf(at::softmax(logits, 0));
  result.target = target.value_or(logits.argmax().item<int64_t>());
  logits[result.target].backward();
  result.shape = {maps.size(1), maps.size(2), maps.size(3)};
  result.activations = NumbersOf(maps);
  const at::Tensor gradient = maps.grad();
  result.gradient = NumbersOf(gradient.defined() ? gradient : at::zeros_like(maps));
  return result;
}

}  // namespace atelier::models
