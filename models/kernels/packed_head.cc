#include "models/kernels/packed_head.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace atelier::models {

PackedHead::PackedHead(const TrainingOptions& options, const PackedLayout& layout,
                       const LabeledImages& images, const float* parameters, const float* derived,
                       int64_t max_images)
    : layout_(layout),
      images_(images),
      dropout_(static_cast<float>(layout.network().dropout)),
      label_smoothing_(static_cast<float>(options.label_smoothing)),
      classes_(options.architecture.classes),
      class_weights_(options.class_weights.begin(), options.class_weights.end()),
      features_(max_images * layout.features()),
      features_gradient_(max_images * layout.features()) {
  for (const PackedDenseLayer& layer : layout.dense_layers()) {
    dense_.push_back(
        {FloatBuffer(max_images * layer.outputs), FloatBuffer(max_images * layer.outputs),
         ShardDense::Create(layer, layout.precision(), parameters, derived, max_images)});
  }
}

void PackedHead::Forward(int64_t count, RandomStream& random) {
  const float* input = features_.data();
  const float keep_scale = 1.0F / (1.0F - dropout_);
  for (size_t i = 0; i < dense_.size(); ++i) {
    const PackedDenseLayer& layer = layout_.dense_layers()[i];
    const bool hidden = i + 1 < dense_.size();
    float* values = dense_[i].values.data();
    dense_[i].product->Forward(count, input, hidden ? Activation::kRelu : Activation::kNone,
                               values);
    if (hidden && dropout_ > 0) {
      for (int64_t row = 0; row < count; ++row) {
        for (int64_t j = 0; j < layer.units; ++j) {
          values[row * layer.outputs + j] *= random.NextFloat() < dropout_ ? 0.0F : keep_scale;
        }
      }
    }
    input = values;
  }
}

PassResult PackedHead::Loss(absl::Span<const int32_t> indices, int64_t batch) {
  PassResult result;
  const int64_t stride = layout_.dense_layers().back().outputs;
  const float elsewhere = label_smoothing_ / static_cast<float>(classes_ * batch);
  for (int64_t i = 0; i < static_cast<int64_t>(indices.size()); ++i) {
    const float* logits = dense_.back().values.data() + i * stride;
    float* gradient = dense_.back().gradient.data() + i * stride;
    const int64_t label = images_.labels[static_cast<size_t>(indices[static_cast<size_t>(i)])];
    const float* const best = std::max_element(logits, logits + classes_);
    float sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += gradient[c] = std::exp(logits[c] - *best);
    result.loss_sum += static_cast<double>(std::log(sum) - (logits[label] - *best));
    result.correct += best - logits == label;
    if (!class_weights_.empty()) {
      for (int64_t c = 0; c < classes_; ++c) gradient[c] /= sum;
      WeightGradient(label, gradient);
      for (int64_t c = 0; c < classes_; ++c) gradient[c] /= static_cast<float>(batch);
      continue;
    }
    const float scale = 1 / (sum * static_cast<float>(batch));
    for (int64_t c = 0; c < classes_; ++c) gradient[c] = gradient[c] * scale - elsewhere;
    gradient[label] -= (1 - label_smoothing_) / static_cast<float>(batch);
  }
  return result;
}

// Of (1 - s)·w_label·(-ln p_label) + s/classes·Σ_c w_c·(-ln p_c), s being the smoothing.
void PackedHead::WeightGradient(int64_t label, float* gradient) const {
  const float spread = label_smoothing_ / static_cast<float>(classes_);
  const float own = (1 - label_smoothing_) * class_weights_[static_cast<size_t>(label)];
  const float all = std::accumulate(class_weights_.begin(), class_weights_.end(), 0.0F);
  for (int64_t c = 0; c < classes_; ++c) {
    gradient[c] =
        gradient[c] * (own + spread * all) - spread * class_weights_[static_cast<size_t>(c)];
  }
  gradient[label] -= own;
}

void PackedHead::Backward(int64_t count, float* gradients) {
  const float keep_scale = 1.0F / (1.0F - dropout_);
  for (size_t i = dense_.size(); i-- > 0;) {
    const PackedDenseLayer& layer = layout_.dense_layers()[i];
    const float* gradient = dense_[i].gradient.data();
    const float* input = i == 0 ? features_.data() : dense_[i - 1].values.data();
    dense_[i].product->WriteGradient(count, input, gradient, gradients);
    if (layer.transposed < 0) return;
    float* input_gradient = i == 0 ? features_gradient_.data() : dense_[i - 1].gradient.data();
    dense_[i].product->BackToInput(count, gradient, input_gradient);
    if (i == 0) return;
    // Zero where ReLU or dropout made it so.
    const float* values = dense_[i - 1].values.data();
    for (int64_t j = 0; j < count * layer.inputs; ++j) {
      input_gradient[j] = values[j] > 0 ? input_gradient[j] * keep_scale : 0;
    }
  }
}

}  // namespace atelier::models
