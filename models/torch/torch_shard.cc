#include "models/torch/torch_shard.h"

#include <c10/core/GradMode.h>

#include <vector>

#include "models/base/float_buffer.h"
#include "models/network/trained_model.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// Views of a network's tensors on two flat buffers: trainable numbers and running statistics.
std::vector<at::Tensor> ViewsOn(const std::vector<TensorSpec>& specs, float* parameters,
                                float* statistics) {
  std::vector<at::Tensor> views;
  for (const TensorSpec& spec : specs) {
    float*& next = spec.trainable ? parameters : statistics;
    views.push_back(at::from_blob(next, spec.shape, at::kFloat));
    next += spec.size();
  }
  return views;
}

class TorchShard : public ShardNetwork {
 public:
  TorchShard(const TrainingOptions& options, const LabeledImages& images,
             const FloatBuffer& parameters)
      : options_(options),
        plan_(PlanOf(options.architecture)),
        device_(TorchDevice(options.device)),
        images_(images),
        gradients_(parameters.size()),
        statistics_(options.architecture.ParameterCount() -
                    options.architecture.TrainableParameterCount()) {
    const std::vector<TensorSpec> specs = TensorSpecsOf(options.architecture);
    const std::vector<bool> frozen = FrozenTensors(options.architecture, options.freeze);
    host_ = ViewsOn(specs, parameters.data(), statistics_.data());
    host_gradients_ = ViewsOn(specs, gradients_.data(), statistics_.data());
    for (size_t i = 0; i < specs.size(); ++i) {
      // On the processor these are the very same numbers, else a copy of them.
      tensors_.push_back(host_[i].to(device_));
      moves_.push_back(!specs[i].trainable && !frozen[i]);
      if (!specs[i].trainable || frozen[i]) continue;
      tensors_[i].set_requires_grad(true);
      tensors_[i].mutable_grad() = host_gradients_[i].to(device_);
    }
  }

  PassResult Run(absl::Span<const int32_t> indices, int64_t batch, RandomStream& random) override {
    UseOneTorchThread();
    profile_.Start();
    std::fill_n(gradients_.data(), gradients_.size(), 0.0F);
    if (!device_.is_cpu()) CopyToDevice();
    const at::Tensor labels = GatherLabels(images_, indices).to(device_);
    const at::Tensor images = LoadImages(indices, random).to(device_);
    profile_.Lap(StepPart::kImages);
    const at::Tensor logits = TrainingLogits(plan_, tensors_, images, {random, options_.precision});
    const at::Tensor scores = at::log_softmax(logits, 1);
    const at::Tensor loss = at::nll_loss(scores, labels, {}, at::Reduction::Sum);
    (Minimized(scores, labels, loss) / static_cast<double>(batch)).backward();
    PassResult result;
    result.loss_sum = loss.item<float>();
    result.correct = logits.detach().argmax(1).eq(labels).sum().item<int64_t>();
    if (!device_.is_cpu()) CopyToHost();
    profile_.Lap(StepPart::kWholePass);
    return result;
  }

  const float* gradients() const override { return gradients_.data(); }
  absl::Span<float> statistics() override {
    return {statistics_.data(), static_cast<size_t>(statistics_.size())};
  }

 private:
  // The engine's weights and our statistics as they are now; gradients of zero.
  void CopyToDevice() {
    const c10::NoGradGuard guard;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i].copy_(host_[i]);
      if (tensors_[i].requires_grad()) tensors_[i].mutable_grad().zero_();
    }
  }

  // The sum of losses that is minimised, of log-probabilities and the sum of the plain losses:
  // with label smoothing and class weights as in PyTorch's CrossEntropyLoss.
  at::Tensor Minimized(const at::Tensor& scores, const at::Tensor& labels,
                       const at::Tensor& loss) const {
    const double smoothing = options_.label_smoothing;
    const double spread = smoothing / static_cast<double>(options_.architecture.classes);
    if (options_.class_weights.empty()) return loss * (1 - smoothing) - scores.sum() * spread;
    const at::Tensor weights =
        at::tensor(options_.class_weights, at::dtype(at::kFloat)).to(device_);
    return at::nll_loss(scores, labels, weights, at::Reduction::Sum) * (1 - smoothing) -
           (scores * weights).sum() * spread;
  }

  // What the pass made of them.
  void CopyToHost() {
    const c10::NoGradGuard guard;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].requires_grad()) host_gradients_[i].copy_(tensors_[i].grad());
      if (moves_[i]) host_[i].copy_(tensors_[i]);
    }
  }

  at::Tensor LoadImages(absl::Span<const int32_t> indices, RandomStream& random) const {
    if (!options_.augmentation.any()) return GatherImages(plan_, images_, indices);
    const auto size = static_cast<size_t>(plan_.input.size());
    std::vector<uint8_t> pixels(indices.size() * size);
    for (size_t i = 0; i < indices.size(); ++i) {
      Augment(options_.augmentation, plan_.input,
              &images_.pixels[static_cast<size_t>(indices[i]) * size], random, &pixels[i * size]);
    }
    return ImagesTensor(plan_, pixels);
  }

  const TrainingOptions options_;
  const NetworkPlan plan_;
  const at::Device device_;
  const LabeledImages& images_;
  const FloatBuffer gradients_;
  const FloatBuffer statistics_;
  // The engine's weights and our statistics, and our gradients, where the engine reads them.
  std::vector<at::Tensor> host_;
  std::vector<at::Tensor> host_gradients_;
  // The same where they are computed with.
  std::vector<at::Tensor> tensors_;
  // Whether a pass makes each of them: running statistics of layers that are not frozen.
  std::vector<bool> moves_;
};

}  // namespace

std::unique_ptr<ShardNetwork> MakeTorchShard(const TrainingOptions& options,
                                             const LabeledImages& images,
                                             const FloatBuffer& parameters) {
  return std::make_unique<TorchShard>(options, images, parameters);
}

}  // namespace atelier::models
