#include "models/kernels/inference_program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/kernels/layer_kernels.h"
#include "models/kernels/packed_image.h"
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

}  // namespace

InferenceProgram::Workspace::Workspace(const PackedLayout& layout)
    : last_output(layout.averages() ? layout.conv_layers().back().pool.pooled_size() : 0),
      average(layout.averages() ? layout.features() : 0),
      features(kDenseBatch * layout.features()) {
  int64_t largest = 0;
  int64_t needed = 0;
  for (const PackedConvLayer& layer : layout.conv_layers()) {
    inputs.emplace_back(layer.input_size());
    outputs.emplace_back(layer.output_size());
    squeezes.emplace_back();
    if (layer.squeezes()) {
      squeezes.back().emplace(layer, 1, SqueezeExcitation::Use::kInference);
    }
    largest = std::max(largest, layer.pool.pooled_size());
    if (layer.transformed >= 0) needed = std::max(needed, WinogradScratch(layer.shape));
  }
  scratch = FloatBuffer(needed);
  winners = FloatBuffer(largest);
  for (const PackedDenseLayer& layer : layout.dense_layers()) {
    dense.emplace_back(kDenseBatch * layer.outputs);
  }
}

InferenceProgram::InferenceProgram(const TrainedModel& model, Precision precision)
    : InferenceNetwork(model.architecture), precision_(precision), layout_(model.architecture) {
  const auto kept = [precision](FloatBuffer weights) -> PackedWeights {
    if (precision == Precision::kFloat32) return weights;
    NumberBuffer<Bfloat16> rounded(weights.size());
    std::transform(weights.data(), weights.data() + weights.size(), rounded.data(),
                   RoundToBfloat16);
    return rounded;
  };
  const FloatBuffer packed(layout_.parameters());
  Pack(model, layout_, packed.data());
  parameters_ = CopyOf(packed.data(), layout_.dense_layers().front().weights);
  for (const PackedConvLayer& layer : layout_.conv_layers()) {
    const ConvolutionShape& shape = layer.shape;
    const bool plain = layer.transformed < 0;
    FloatBuffer transformed(plain ? 0 : kWinogradPlaces * shape.inputs * shape.outputs);
    for (int64_t panel = 0; !plain && panel < shape.outputs / kPanel; ++panel) {
      TransformWeights(shape.inputs, shape.outputs, panel, packed.data() + layer.weights,
                       transformed.data());
    }
    transformed_.push_back(std::move(transformed));
  }
  for (const PackedDenseLayer& layer : layout_.dense_layers()) {
    dense_.push_back({kept(CopyOf(packed.data() + layer.weights, layer.inputs * layer.outputs)),
                      CopyOf(packed.data() + layer.bias, layer.outputs)});
  }
}

int64_t InferenceProgram::memory_bytes() const {
  const auto bytes = [](const auto& numbers) {
    return static_cast<int64_t>(numbers.size() * sizeof(*numbers.data()));
  };
  int64_t sum = bytes(parameters_);
  for (const FloatBuffer& weights : transformed_) sum += bytes(weights);
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

void InferenceProgram::Convolutions(Workspace& workspace, int64_t image) const {
  const std::vector<PackedConvLayer>& layers = layout_.conv_layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    const PackedConvLayer& layer = layers[i];
    float* const output = workspace.outputs[i].data();
    const float* const input = workspace.inputs[i].data();
    const float* const bias = parameters_.data() + layer.bias;
    if (layer.transformed >= 0) {
      WinogradConvolve(layer.shape, input, transformed_[i].data(), bias, Activation::kRelu,
                       workspace.scratch.data(), output);
    } else {
      Convolve(layer.shape, input, parameters_.data() + layer.weights, bias, Activation::kRelu,
               output);
    }
    Finish(workspace, i, image);
  }
  if (!layout_.averages()) return;
  workspace.average.Compute(layers.back().pool.pooled_pixels(), workspace.last_output.data(),
                            workspace.features.data() + image * layout_.features());
}

void InferenceProgram::Dense(Workspace& workspace, int64_t count, float* probabilities) const {
  const std::vector<PackedDenseLayer>& layers = layout_.dense_layers();
  const float* from = workspace.features.data();
  for (size_t i = 0; i < layers.size(); ++i) {
    const PackedDenseLayer& layer = layers[i];
    const bool last = i + 1 == layers.size();
    std::visit(
        [&](const auto& weights) {
          Multiply(count, layer.inputs, layer.outputs, from, weights.data(), dense_[i].bias.data(),
                   last ? Activation::kNone : Activation::kRelu, workspace.dense[i].data());
        },
        dense_[i].weights);
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
