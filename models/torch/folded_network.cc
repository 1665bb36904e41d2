#include "models/torch/folded_network.h"

#include <utility>

#include "models/torch/network.h"

namespace atelier::models {
namespace {

class Folding {
 public:
  explicit Folding(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {}

  std::vector<LayerPlan> Fold(std::vector<LayerPlan> layers) {
    std::vector<LayerPlan> folded;
    for (LayerPlan& layer : layers) {
      const bool after_convolution =
          !folded.empty() && folded.back().kind() == v1::Layer::kConvolution;
      if (layer.kind() == v1::Layer::kBatchNorm && after_convolution) {
        Join(folded.back(), layer.layer.batch_norm().epsilon());
        continue;
      }
      // Those of a residual block are its projection's, before its layers'.
      for (size_t i = 0; i < layer.tensors.size(); ++i) kept_.push_back(Take());
      layer.body = Fold(std::move(layer.body));
      folded.push_back(std::move(layer));
    }
    return folded;
  }

  std::vector<at::Tensor> TakeKept() { return std::move(kept_); }

 private:
  const at::Tensor& Take() { return tensors_[next_++]; }

  // In double: the folded numbers are rounded once.
  void Join(LayerPlan& convolution, double epsilon) {
    const at::Tensor scale = Take().to(at::kDouble);
    const at::Tensor shift = Take().to(at::kDouble);
    const at::Tensor mean = Take().to(at::kDouble);
    const at::Tensor factor = scale / (Take().to(at::kDouble) + epsilon).sqrt();
    at::Tensor bias = at::zeros_like(mean);
    v1::Convolution& spec = *convolution.layer.mutable_convolution();
    if (spec.bias()) {
      bias = kept_.back().to(at::kDouble);
      kept_.pop_back();
    }
    at::Tensor& weight = kept_.back();
    weight = (weight.to(at::kDouble) * factor.view({-1, 1, 1, 1})).to(at::kFloat);
    kept_.push_back(((bias - mean) * factor + shift).to(at::kFloat));
    spec.set_bias(true);
  }

  const std::vector<at::Tensor> tensors_;
  size_t next_ = 0;
  std::vector<at::Tensor> kept_;
};

}  // namespace

FoldedNetwork FoldBatchNorms(const TrainedModel& model) {
  FoldedNetwork folded{PlanOf(model.architecture), {}};
  Folding folding(TensorsOf(model));
  folded.plan.layers = folding.Fold(std::move(folded.plan.layers));
  folded.tensors = folding.TakeKept();
  return folded;
}

}  // namespace atelier::models
