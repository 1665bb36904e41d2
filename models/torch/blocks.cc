#include "models/torch/blocks.h"

#include <c10/core/GradMode.h>

#include <variant>

#include "models/torch/libtorch.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// Of the first image of N×C×H×W.
ImageShape ShapeOf(const at::Tensor& maps) { return {maps.size(1), maps.size(2), maps.size(3)}; }

at::Tensor BatchOf(const NetworkPlan& plan, const PixelSpan& image) {
  return std::visit([&](const auto& pixels) { return ImagesTensor(plan, pixels); }, image);
}

}  // namespace

std::vector<BlockOutput> RunBlocks(const TrainedModel& model, const PixelSpan& image) {
  UseOneTorchThread();
  const at::InferenceMode inference;
  const NetworkPlan plan = PlanOf(model.architecture);
  std::vector<at::Tensor> blocks;
  LogitsAndBlocks(plan, TensorsOf(model), BatchOf(plan, image), &blocks);
  std::vector<BlockOutput> outputs;
  for (const at::Tensor& maps : blocks) outputs.push_back({ShapeOf(maps), NumbersOf(maps)});
  return outputs;
}

BlockGradient GradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                         std::optional<int64_t> target) {
  UseOneTorchThread();
  const at::AutoGradMode gradients(true);
  const NetworkPlan plan = PlanOf(model.architecture);
  at::Tensor batch = BatchOf(plan, image);
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
  result.shape = ShapeOf(maps);
  result.activations = NumbersOf(maps);
  const at::Tensor gradient = maps.grad();
  result.gradient = NumbersOf(gradient.defined() ? gradient : at::zeros_like(maps));
  return result;
}

}  // namespace atelier::models
