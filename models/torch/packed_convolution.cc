#include "models/torch/packed_convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "models/base/float_buffer.h"
#include "models/kernels/depthwise.h"
#include "models/kernels/panel_kernels.h"
#include "models/torch/convolution.h"

namespace atelier::models {
namespace {

// Images at once that oneDNN's order is meant for.
constexpr int64_t kPackedBatch = 8;

// What our own kernels need: numbers in their order, and none of the images' sizes.
class OwnConvolution : public PackedConvolution {
 public:
  OwnConvolution(const LayerPlan& layer, const at::Tensor& bias, bool relu)
      : input_(layer.input),
        output_(layer.output),
        activation_(relu ? Activation::kRelu : Activation::kNone),
        bias_(layer.output.channels) {
    if (bias.defined()) std::copy_n(bias.data_ptr<float>(), bias_.size(), bias_.data());
  }

  at::Tensor Run(const at::Tensor& images) const final {
    const at::Tensor input = images.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor output =
        at::empty({input.size(0), output_.channels, output_.height, output_.width},
                  input.options().memory_format(at::MemoryFormat::ChannelsLast));
    Compute(input.size(0), input.data_ptr<float>(), output.data_ptr<float>());
    return output;
  }

 protected:
  const ImageShape& input() const { return input_; }
  const ImageShape& output() const { return output_; }
  Activation activation() const { return activation_; }
  const float* bias() const { return bias_.data(); }

 private:
  virtual void Compute(int64_t images, const float* input, float* output) const = 0;

  const ImageShape input_;
  const ImageShape output_;
  const Activation activation_;
  const FloatBuffer bias_;
};

// Weights (outputs × inputs × height × width) in panels, as panel_kernels.h has them.
FloatBuffer InPanels(const at::Tensor& weight) {
  const int64_t outputs = weight.size(0);
  const int64_t inputs = weight.size(1);
  const int64_t taps = weight.size(2) * weight.size(3);
  FloatBuffer panels(weight.numel());
  const float* from = weight.data_ptr<float>();
  for (int64_t j = 0; j < outputs; ++j) {
    float* const panel = panels.data() + j / kPanel * taps * inputs * kPanel + j % kPanel;
    for (int64_t input = 0; input < inputs; ++input) {
      for (int64_t tap = 0; tap < taps; ++tap) panel[(tap * inputs + input) * kPanel] = *from++;
    }
  }
  return panels;
}

// Whether a layer has one group, and whole panels of filters that look at every pixel.
bool HasPanels(const LayerPlan& layer) {
  return layer.layer.convolution().groups() == 1 && layer.output.channels % kPanel == 0 &&
         layer.output.height == layer.input.height && layer.output.width == layer.input.width;
}

// Of single pixels: a matrix product.
class PixelConvolution final : public OwnConvolution {
 public:
  static bool Covers(const LayerPlan& layer) {
    const Window& window = layer.window;
    const bool of_pixels = window.height == 1 && window.width == 1;
    const bool of_one_pixel =
        layer.input.height == 1 && layer.input.width == 1 && window.dilation == 1;
    return HasPanels(layer) && (of_pixels || of_one_pixel);
  }

  // Of a larger window only what lies on the image's one pixel counts.
  PixelConvolution(const LayerPlan& layer, const at::Tensor& weight, const at::Tensor& bias,
                   bool relu)
      : OwnConvolution(layer, bias, relu),
        panels_(InPanels(
            weight.narrow(2, layer.window.top, 1).narrow(3, layer.window.left, 1).contiguous())) {}

 private:
  void Compute(int64_t images, const float* input_images, float* output_images) const override {
    Multiply(images * input().height * input().width, input().channels, output().channels,
             input_images, panels_.data(), bias(), activation(), output_images);
  }

  const FloatBuffer panels_;
};

// Of 3×3 pixels with same padding.
class BlockConvolution final : public OwnConvolution {
 public:
  static bool Covers(const LayerPlan& layer) {
    const Window& window = layer.window;
    return HasPanels(layer) && window.height == 3 && window.width == 3 && window.dilation == 1 &&
           window.row_stride == 1 && window.column_stride == 1 && window.top == 1 &&
           window.left == 1;
  }

  BlockConvolution(const LayerPlan& layer, const at::Tensor& weight, const at::Tensor& bias,
                   bool relu)
      : OwnConvolution(layer, bias, relu), panels_(InPanels(weight)) {}

 private:
  void Compute(int64_t images, const float* input_images, float* output_images) const override {
    const ConvolutionShape shape = {input().height, input().width, input().channels,
                                    output().channels};
    const FloatBuffer padded(shape.padded_size(shape.inputs));
    const int64_t row = shape.width * shape.inputs;
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t y = 0; y < shape.height; ++y) {
        std::copy_n(input_images, row,
                    padded.data() + (y + 1) * shape.padded_row(shape.inputs) + shape.inputs);
        input_images += row;
      }
      Convolve(shape, padded.data(), panels_.data(), bias(), activation(),
               output_images + i * output().size());
    }
  }

  const FloatBuffer panels_;
};

class DepthwiseConvolution final : public OwnConvolution {
 public:
  static bool Covers(const LayerPlan& layer) {
    const int64_t channels = layer.input.channels;
    return layer.layer.convolution().groups() == channels && layer.output.channels == channels &&
           channels % kDepthwiseChannels == 0;
  }

  DepthwiseConvolution(const LayerPlan& layer, const at::Tensor& weight, const at::Tensor& bias,
                       bool relu)
      : OwnConvolution(layer, bias, relu), window_(layer.window), weights_(weight.numel()) {
    const int64_t channels = layer.output.channels;
    const int64_t taps = weight.numel() / channels;
    const float* from = weight.data_ptr<float>();
    for (int64_t channel = 0; channel < channels; ++channel) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        weights_.data()[tap * channels + channel] = *from++;
      }
    }
  }

 private:
  void Compute(int64_t images, const float* input_images, float* output_images) const override {
    for (int64_t i = 0; i < images; ++i) {
      ConvolveDepthwise(window_, input(), output(), input_images + i * input().size(),
                        weights_.data(), bias(), activation(), output_images + i * output().size());
    }
  }

  const Window window_;
  const FloatBuffer weights_;
};

// Calls an operator that LibTorch has no C++ function for.
c10::IValue CallOperator(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments) {
  op.callBoxed(&arguments);
  return std::move(arguments.front());
}

c10::optional<c10::OperatorHandle> FindOperator(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""});
}

class OneDnnConvolution final : public PackedConvolution {
 public:
  // Null where this LibTorch has no such operators.
  static std::unique_ptr<const PackedConvolution> Make(const LayerPlan& layer,
                                                       const at::Tensor& weight,
                                                       const at::Tensor& bias, bool relu) {
    const auto pack = FindOperator("mkldnn_prepacked::conv2d_prepack");
    if (!pack || !FindOperator("mkldnn_prepacked::conv2d_run")) return nullptr;
    const Window& window = layer.window;
    std::vector<int64_t> size = {kPackedBatch, layer.input.channels, layer.input.height,
                                 layer.input.width};
    if (!window.symmetric()) {
      size[2] += window.top + window.bottom;
      size[3] += window.left + window.right;
    }
    const auto biases = bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt;
    return std::unique_ptr<const PackedConvolution>(new OneDnnConvolution(
        window, CallOperator(*pack, {weight, biases, StrideOf(window), PaddingOf(window),
                                     DilationOf(window), layer.layer.convolution().groups(), size,
                                     std::string(relu ? "relu" : "none")})));
  }

  at::Tensor Run(const at::Tensor& images) const override {
    static const c10::OperatorHandle run = *FindOperator("mkldnn_prepacked::conv2d_run");
    return CallOperator(run, {PadUnevenly(window_, images), context_}).toTensor();
  }

 private:
  OneDnnConvolution(const Window& window, c10::IValue context)
      : window_(window), context_(std::move(context)) {}

  const Window window_;
  const c10::IValue context_;
};

}  // namespace

std::unique_ptr<const PackedConvolution> PackedConvolution::Make(const LayerPlan& layer,
                                                                 const at::Tensor& weight,
                                                                 const at::Tensor& bias,
                                                                 bool relu) {
  if (!HasOneDnn(weight)) return nullptr;
  if (PixelConvolution::Covers(layer)) {
    return std::make_unique<PixelConvolution>(layer, weight, bias, relu);
  }
  if (BlockConvolution::Covers(layer)) {
    return std::make_unique<BlockConvolution>(layer, weight, bias, relu);
  }
  if (DepthwiseConvolution::Covers(layer)) {
    return std::make_unique<DepthwiseConvolution>(layer, weight, bias, relu);
  }
  return OneDnnConvolution::Make(layer, weight, bias, relu);
}

}  // namespace atelier::models
