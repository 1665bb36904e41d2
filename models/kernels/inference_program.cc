#include "models/kernels/inference_program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/kernels/fastest_precision.h"
#include "models/kernels/layer_kernels.h"
#include "models/kernels/packed_image.h"
#include "models/kernels/pair_convolution.h"
#include "models/kernels/pair_winograd.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {
namespace {

// Images that go through the dense layers together: their weights are read once for all of them.
constexpr int64_t kDenseBatch = 32;

void Softmax(const float* logits, int64_t count, float* probabilities) {
  const float highest = *std::max_element(logits, logits + count);
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    probabilities[i] = std::exp(logits[i] - highest);
    sum += probabilities[i];
  }
  for (int64_t i = 0; i < count; ++i) probabilities[i] /= sum;
}

FloatBuffer CopyOf(const float* values, int64_t count) {
  FloatBuffer copy(count);
  std::copy_n(values, count, copy.data());
  return copy;
}

// A matrix in panels, in panels of pairs.
NumberBuffer<Bfloat16> PairsOf(int64_t rows, int64_t columns, const float* panels) {
  NumberBuffer<Bfloat16> pairs(rows * columns);
  for (int64_t at = 0; at < rows * columns; at += rows * kPanel) {
    PairRows(rows, kPanel, panels + at, kPanel, PadToPairStep(rows), pairs.data() + at);
  }
  return pairs;
}

// Puts the trainable tensors where the layout wants them, and in place of each batch norm's weight
// and bias its scale and shift on the running statistics.
void Pack(const TrainedModel& model, const PackedLayout& layout, float* parameters) {
  size_t next = 0;
  const std::vector<TensorSpec> specs = TensorSpecsOf(model.architecture);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].trainable) continue;
    for (const float value : model.tensors[i].values) {
      parameters[layout.positions()[next++]] = value;
    }
  }
  for (size_t i = 0; i < layout.conv_layers().size(); ++i) {
    const PackedConvLayer& layer = layout.conv_layers()[i];
    const std::string norm = absl::StrCat("norm", i + 1);
    const std::vector<float>& mean = model.Find(norm + ".running_mean")->values;
    const std::vector<float>& variance = model.Find(norm + ".running_var")->values;
    for (int64_t j = 0; j < layer.filters; ++j) {
      const double deviation =
          std::sqrt(variance[static_cast<size_t>(j)] + layout.network().shape.batch_norm_epsilon);
      float& scale = parameters[layer.scale + j];
      float& shift = parameters[layer.shift + j];
      const double folded = scale / deviation;
      shift = static_cast<float>(shift - mean[static_cast<size_t>(j)] * folded);
      scale = static_cast<float>(folded);
    }
  }
}

// What was asked for where this machine multiplies faster so; it is not measured for nothing.
ProductRounding RoundingHere(ProductRounding asked) {
  if (asked == ProductRounding::kNone || asked != FastestProductRounding()) {
    return ProductRounding::kNone;
  }
  return asked;
}

}  // namespace

InferenceProgram::Workspace::Workspace(const PackedLayout& layout)
    : last_output(layout.averages() ? layout.conv_layers().back().pool.pooled_size() : 0),
      average(layout.averages() ? layout.features() : 0),
      features(kDenseBatch * layout.features()) {
  const bool pairs = layout.precision() == Precision::kBfloat16;
  const bool transformed = pairs && PairsAreTransformed();
  int64_t largest = 0;
  int64_t needed = 0;
  int64_t most = 0;
  for (const PackedConvLayer& layer : layout.conv_layers()) {
    inputs.emplace_back(layer.input_size());
    outputs.emplace_back(layer.output_size());
    squeezes.emplace_back();
    if (layer.squeezes()) {
      squeezes.back().emplace(layer, 1, SqueezeExcitation::Use::kInference);
    }
    largest = std::max(largest, layer.pool.pooled_size());
    if (layer.transformed < 0) continue;
    if (!pairs) needed = std::max(needed, WinogradScratch(layer.shape));
    if (transformed) needed = std::max(needed, PairWinogradProducts(layer.shape));
    most = std::max(most, transformed ? PairWinogradImage(layer.shape) : layer.input_size());
  }
  scratch = FloatBuffer(needed);
  winners = FloatBuffer(largest);
  for (const PackedDenseLayer& layer : layout.dense_layers()) {
    dense.emplace_back(kDenseBatch * layer.outputs);
    most = std::max(most, kDenseBatch * layer.inputs);
  }
  rounded = NumberBuffer<Bfloat16>(pairs ? most : 0);
}

InferenceProgram::InferenceProgram(const TrainedModel& model, Precision precision,
                                   ProductRounding product_rounding)
    : InferenceNetwork(model.architecture),
      precision_(precision),
      product_rounding_(precision == Precision::kBfloat16 ? RoundingHere(product_rounding)
                                                          : ProductRounding::kNone),
      layout_(model.architecture, rounds_products() ? Precision::kBfloat16 : Precision::kFloat32) {
  const FloatBuffer packed(layout_.parameters());
  Pack(model, layout_, packed.data());
  parameters_ = CopyOf(packed.data(), layout_.dense_layers().front().weights);
  for (const PackedConvLayer& layer : layout_.conv_layers()) {
    convolutions_.push_back(PackConvolution(layer, packed.data()));
  }
  for (const PackedDenseLayer& layer : layout_.dense_layers()) {
    dense_.push_back(
        {PackDense(layer, packed.data()), CopyOf(packed.data() + layer.bias, layer.outputs)});
  }
}

InferenceProgram::PackedWeights InferenceProgram::PackConvolution(const PackedConvLayer& layer,
                                                                  const float* packed) const {
  if (layer.transformed < 0) return FloatBuffer();
  const ConvolutionShape& shape = layer.shape;
  const float* const weights = packed + layer.weights;
  if (product_rounding_ == ProductRounding::kDirect) {
    return PairsOf(9 * shape.inputs, shape.outputs, weights);
  }
  FloatBuffer transformed(kWinogradPlaces * shape.inputs * shape.outputs);
  for (int64_t panel = 0; panel < shape.outputs / kPanel; ++panel) {
    TransformWeights(shape.inputs, shape.outputs, panel, weights, transformed.data());
  }
  if (!rounds_products()) return transformed;
  NumberBuffer<Bfloat16> pairs(transformed.size());
  for (int64_t panel = 0; panel < shape.outputs / kPanel; ++panel) {
    PairTransformedWeights(shape.inputs, shape.outputs, panel, transformed.data(), pairs.data());
  }
  return pairs;
}

InferenceProgram::PackedWeights InferenceProgram::PackDense(const PackedDenseLayer& layer,
                                                            const float* packed) const {
  const float* const weights = packed + layer.weights;
  if (rounds_products()) return PairsOf(layer.inputs, layer.outputs, weights);
  const int64_t size = layer.inputs * layer.outputs;
  if (precision_ == Precision::kFloat32) return CopyOf(weights, size);
  NumberBuffer<Bfloat16> rounded(size);
  std::transform(weights, weights + size, rounded.data(), RoundToBfloat16);
  return rounded;
}

int64_t InferenceProgram::memory_bytes() const {
  const auto bytes = [](const auto& numbers) {
    return static_cast<int64_t>(numbers.size() * sizeof(*numbers.data()));
  };
  int64_t sum = bytes(parameters_);
  for (const PackedWeights& weights : convolutions_) sum += std::visit(bytes, weights);
  for (const DenseLayer& layer : dense_) {
    sum += std::visit(bytes, layer.weights) + bytes(layer.bias);
  }
  return sum;
}

std::unique_ptr<InferenceProgram::Workspace> InferenceProgram::TakeWorkspace() const {
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Workspace> workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<Workspace>(layout_);
}

void InferenceProgram::ReturnWorkspace(std::unique_ptr<Workspace> workspace) const {
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(workspace));
}

float* InferenceProgram::Input(Workspace& workspace, int64_t image) const {
  if (!layout_.conv_layers().empty()) return workspace.inputs.front().data();
  return workspace.features.data() + image * layout_.features();
}

float* InferenceProgram::Output(Workspace& workspace, size_t i, int64_t image) const {
  const std::vector<PackedConvLayer>& layers = layout_.conv_layers();
  if (i + 1 < layers.size()) {
    return workspace.inputs[i + 1].data() + layers[i + 1].past_border();
  }
  if (layout_.averages()) return workspace.last_output.data();
  return workspace.features.data() + image * layout_.features();
}

void InferenceProgram::Finish(Workspace& workspace, size_t i, int64_t image) const {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  std::optional<SqueezeExcitation>& squeeze = workspace.squeezes[i];
  float* const output = Output(workspace, i, image);
  NormalizeAndPool(layer.map_shape(), workspace.outputs[i].data(), parameters_.data() + layer.scale,
                   parameters_.data() + layer.shift, workspace.winners.data(),
                   squeeze ? squeeze->map(0) : output);
  const float* const skipped = layer.skip > 0 ? Output(workspace, i - layer.skip, image) : nullptr;
  FinishOutput(layout_, i, parameters_.data(), 0, squeeze, skipped, output);
}

void InferenceProgram::Convolve(Workspace& workspace, size_t i) const {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  const float* const input = workspace.inputs[i].data();
  const float* const bias = parameters_.data() + layer.bias;
  float* const output = workspace.outputs[i].data();
  if (layer.transformed < 0) {
    models::Convolve(layer.shape, input, parameters_.data() + layer.weights, bias,
                     Activation::kRelu, output);
  } else if (rounds_products()) {
    const Bfloat16* const weights = std::get<NumberBuffer<Bfloat16>>(convolutions_[i]).data();
    Bfloat16* const rounded = workspace.rounded.data();
    if (product_rounding_ == ProductRounding::kTransformed) {
      return PairWinogradConvolve(layer.shape, input, weights, bias, Activation::kRelu, rounded,
                                  workspace.scratch.data(), output);
    }
    RoundNumbers(layer.input_size(), input, rounded);
    PairConvolve(layer.shape, rounded, weights, bias, Activation::kRelu, output);
  } else {
    WinogradConvolve(layer.shape, input, std::get<FloatBuffer>(convolutions_[i]).data(), bias,
                     Activation::kRelu, workspace.scratch.data(), output);
  }
}

void InferenceProgram::Convolutions(Workspace& workspace, int64_t image) const {
  for (size_t i = 0; i < layout_.conv_layers().size(); ++i) {
    Convolve(workspace, i);
    Finish(workspace, i, image);
  }
  if (!layout_.averages()) return;
  workspace.average.Compute(layout_.conv_layers().back().pool.pooled_pixels(),
                            workspace.last_output.data(),
                            workspace.features.data() + image * layout_.features());
}

void InferenceProgram::Multiply(Workspace& workspace, size_t i, int64_t rows,
                                const float* from) const {
  const PackedDenseLayer& layer = layout_.dense_layers()[i];
  const float* const bias = dense_[i].bias.data();
  float* const to = workspace.dense[i].data();
  const bool last = i + 1 == layout_.dense_layers().size();
  const Activation activation = last ? Activation::kNone : Activation::kRelu;
  if (rounds_products()) {
    RoundNumbers(rows * layer.inputs, from, workspace.rounded.data());
    return MultiplyByPairs(rows, layer.inputs, layer.outputs, workspace.rounded.data(),
                           std::get<NumberBuffer<Bfloat16>>(dense_[i].weights).data(), bias,
                           activation, to);
  }
  const auto multiply = [&](const auto& weights) {
    models::Multiply(rows, layer.inputs, layer.outputs, from, weights.data(), bias, activation, to);
  };
  std::visit(multiply, dense_[i].weights);
}

void InferenceProgram::Dense(Workspace& workspace, int64_t count, float* probabilities) const {
  const std::vector<PackedDenseLayer>& layers = layout_.dense_layers();
  const float* from = workspace.features.data();
  for (size_t i = 0; i < layers.size(); ++i) {
    Multiply(workspace, i, count, from);
    from = workspace.dense[i].data();
  }
  for (int64_t image = 0; image < count; ++image) {
    Softmax(from + image * layers.back().outputs, classes(), probabilities + image * classes());
  }
}

void InferenceProgram::Run(absl::Span<const PixelSpan> parts, float* probabilities) const {
  std::unique_ptr<Workspace> workspace = TakeWorkspace();
  int64_t loaded = 0;
  const auto flush = [&] {
    Dense(*workspace, loaded, probabilities);
    probabilities += loaded * classes();
    loaded = 0;
  };
  const auto add = [&](const auto& pixels) {
    for (size_t at = 0; at < pixels.size(); at += static_cast<size_t>(input_shape().size())) {
      PlacePixels(layout_, input_shape(), pixels.data() + at, Input(*workspace, loaded));
      Convolutions(*workspace, loaded);
      if (++loaded == kDenseBatch) flush();
    }
  };
  for (const PixelSpan& part : parts) std::visit(add, part);
  if (loaded > 0) flush();
  ReturnWorkspace(std::move(workspace));
}

}  // namespace atelier::models
