#include "models/kernels/squeeze_excitation.h"

#include <algorithm>
#include <cmath>

#include "models/kernels/layer_kernels.h"
#include "models/kernels/panel_kernels.h"
#include "models/kernels/shard_dense.h"

namespace atelier::models {

ChannelMeans::ChannelMeans(int64_t channels)
    : sums_(static_cast<size_t>(channels)), squares_(static_cast<size_t>(channels)) {}

void ChannelMeans::Compute(int64_t pixels, const float* map, float* means) {
  std::fill(sums_.begin(), sums_.end(), 0.0);
  AddSums(pixels, static_cast<int64_t>(sums_.size()), map, sums_.data(), squares_.data());
  for (size_t c = 0; c < sums_.size(); ++c) {
    means[c] = static_cast<float>(sums_[c] / static_cast<double>(pixels));
  }
}

SqueezeExcitation::SqueezeExcitation(const PackedConvLayer& layer, int64_t images, Use use)
    : layer_(layer),
      pixels_(layer.pool.pooled_pixels()),
      map_(images * layer.pool.pooled_size()),
      means_(images * layer.pool.channels),
      hidden_(images * layer.squeeze.outputs),
      gates_(images * layer.pool.channels),
      average_(layer.pool.channels),
      zeros_(layer.pool.channels) {
  if (use == Use::kInference) return;
  map_gradient_ = FloatBuffer(images * layer.pool.pooled_size());
  hidden_gradient_ = FloatBuffer(images * layer.squeeze.outputs);
  gates_gradient_ = FloatBuffer(images * layer.pool.channels);
  mean_gradient_ = FloatBuffer(layer.pool.channels);
  sums_.resize(static_cast<size_t>(layer.pool.channels));
  products_.resize(static_cast<size_t>(layer.pool.channels));
}

void SqueezeExcitation::Forward(const float* parameters, int64_t image, float* output) {
  const PackedDenseLayer& squeeze = layer_.squeeze;
  const PackedDenseLayer& excite = layer_.excite;
  float* const means = means_.data() + image * squeeze.inputs;
  float* const hidden = hidden_.data() + image * squeeze.outputs;
  float* const gates = gates_.data() + image * excite.outputs;
  average_.Compute(pixels_, map(image), means);
  Multiply(1, squeeze.inputs, squeeze.outputs, means, parameters + squeeze.weights,
           parameters + squeeze.bias, Activation::kRelu, hidden);
  Multiply(1, excite.inputs, excite.outputs, hidden, parameters + excite.weights,
           parameters + excite.bias, Activation::kNone, gates);
  for (int64_t c = 0; c < excite.outputs; ++c) gates[c] = 1 / (1 + std::exp(-gates[c]));
  PoolShape scaled = layer_.map_shape();
  scaled.height = scaled.pooled_height();
  scaled.width = scaled.pooled_width();
  scaled.pool = 1;
  scaled.pooled_row_stride = layer_.pool.pooled_row_stride;
  NormalizeAndPool(scaled, map(image), gates, zeros_.data(), nullptr, output);
}

void SqueezeExcitation::Backward(const float* derived, int64_t image, const float* gradient) {
  const PackedDenseLayer& squeeze = layer_.squeeze;
  const PackedDenseLayer& excite = layer_.excite;
  const float* const hidden = hidden_.data() + image * squeeze.outputs;
  const float* const gates = gates_.data() + image * excite.outputs;
  float* const hidden_gradient = hidden_gradient_.data() + image * squeeze.outputs;
  float* const gates_gradient = gates_gradient_.data() + image * excite.outputs;
  std::fill(products_.begin(), products_.end(), 0.0);
  AddProducts(pixels_, excite.outputs, gradient, map(image), sums_.data(), products_.data());
  for (int64_t c = 0; c < excite.outputs; ++c) {
    gates_gradient[c] =
        static_cast<float>(products_[static_cast<size_t>(c)]) * gates[c] * (1 - gates[c]);
  }
  Multiply(1, excite.outputs, excite.inputs, gates_gradient, derived + excite.transposed, nullptr,
           Activation::kNone, hidden_gradient);
  for (int64_t j = 0; j < squeeze.outputs; ++j) {
    if (hidden[j] <= 0) hidden_gradient[j] = 0;
  }
  float* const mean_gradient = mean_gradient_.data();
  Multiply(1, squeeze.outputs, squeeze.inputs, hidden_gradient, derived + squeeze.transposed,
           nullptr, Activation::kNone, mean_gradient);
  for (int64_t c = 0; c < squeeze.inputs; ++c) mean_gradient[c] /= static_cast<float>(pixels_);
  const PoolShape flat = {1, pixels_, squeeze.inputs, 1, pixels_ * squeeze.inputs};
  NormalizeAndPool(flat, gradient, gates, mean_gradient, nullptr,
                   map_gradient_.data() + image * layer_.pool.pooled_size());
}

void SqueezeExcitation::WriteGradients(int64_t images, float* gradients) const {
  WriteDenseGradient(layer_.squeeze, images, means_.data(), hidden_gradient_.data(), gradients);
  WriteDenseGradient(layer_.excite, images, hidden_.data(), gates_gradient_.data(), gradients);
}

}  // namespace atelier::models
