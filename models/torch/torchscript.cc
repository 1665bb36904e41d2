#include "models/torch/torchscript.h"

#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "models/network/layer_plan.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// Names of buffers, one number for each channel.
constexpr char kMeanBuffer[] = "standardization_mean";
constexpr char kDeviationBuffer[] = "standardization_deviation";

void RegisterStandardization(const v1::Network& network, torch::jit::Module& module) {
  if (!network.has_standardization()) return;
  const auto add = [&module](const char* name, const auto& numbers) {
    const at::ArrayRef<float> values(numbers.data(), static_cast<size_t>(numbers.size()));
    module.register_buffer(name, at::tensor(values, at::kFloat).view({1, -1, 1, 1}));
  };
  add(kMeanBuffer, network.standardization().mean());
  add(kDeviationBuffer, network.standardization().deviation());
}

std::string ListText(const std::vector<int64_t>& values) {
  return absl::StrCat("[", absl::StrJoin(values, ", "), "]");
}

// Writes a forward, line by line; the value at hand is always called x.
class SourceWriter {
 public:
  void Write(const std::vector<LayerPlan>& layers) {
    for (const LayerPlan& layer : layers) WriteLayer(layer);
  }
  // An assignment to x.
  template <typename... Parts>
  void Set(const Parts&... parts) {
    absl::StrAppend(&source_, "  x = ", parts..., "\n");
  }
  const std::string& source() const { return source_; }

 private:
  void WriteLayer(const LayerPlan& layer);
  void WriteConvolution(const LayerPlan& layer);
  void WriteLayerNorm(const LayerPlan& layer);
  void WritePooling(const LayerPlan& layer);
  void WriteResidual(const LayerPlan& layer);
  void WriteSqueezeExcitation(const LayerPlan& layer);
  void WriteSpatialAttention(const LayerPlan& layer);

  // A convolution of `input` with the weights called so.
  static std::string Convolution(const Window& window, int64_t groups, const std::string& input,
                                 const std::string& weight, const std::string& bias) {
    // LibTorch's convolutions pad opposite sides alike.
    const bool even = window.symmetric();
    const std::string padded =
        even ? input
             : absl::StrCat("torch.constant_pad_nd(", input, ", ",
                            ListText({window.left, window.right, window.top, window.bottom}),
                            ", 0)");
    return absl::StrCat("torch.conv2d(", padded, ", ", weight, ", ", bias, ", ",
                        ListText({window.row_stride, window.column_stride}), ", ",
                        ListText({even ? window.top : 0, even ? window.left : 0}), ", ",
                        ListText({window.dilation, window.dilation}), ", ", groups, ")");
  }

  // Names of attributes cannot have dots.
  static std::string Tensor(const LayerPlan& layer, size_t i) {
    return absl::StrCat("self.", TorchScriptName(layer.tensors[i].name));
  }
  // The second tensor of a layer, if it has one.
  static std::string Bias(const LayerPlan& layer) {
    return layer.tensors.size() > 1 ? Tensor(layer, 1) : "None";
  }

  std::string source_;
};

std::string ActivationCall(v1::Activation activation) {
  switch (activation) {
    case v1::ACTIVATION_LEAKY_RELU:
      return "torch.leaky_relu(x, 0.01)";
    case v1::ACTIVATION_ELU:
      return "torch.elu(x, 1.0, 1.0, 1.0)";
    case v1::ACTIVATION_GELU:
      return "torch.gelu(x)";
    case v1::ACTIVATION_SILU:
      return "torch.silu(x)";
    case v1::ACTIVATION_HARD_SWISH:
      return "torch.hardswish(x)";
    case v1::ACTIVATION_TANH:
      return "torch.tanh(x)";
    case v1::ACTIVATION_SIGMOID:
      return "torch.sigmoid(x)";
    default:
      return "torch.relu(x)";
  }
}

void SourceWriter::WriteLayer(const LayerPlan& layer) {
  const v1::Layer& spec = layer.layer;
  switch (layer.kind()) {
    case v1::Layer::kConvolution:
      return WriteConvolution(layer);
    case v1::Layer::kBatchNorm:
      return Set("torch.batch_norm(x, ", Tensor(layer, 0), ", ", Tensor(layer, 1), ", ",
                 Tensor(layer, 2), ", ", Tensor(layer, 3), ", False, 0.0, ",
                 absl::StrFormat("%.17g", spec.batch_norm().epsilon()), ", False)");
    case v1::Layer::kGroupNorm:
      return Set("torch.group_norm(x, ", spec.group_norm().groups(), ", ", Tensor(layer, 0), ", ",
                 Tensor(layer, 1), ", ", absl::StrFormat("%.17g", spec.group_norm().epsilon()),
                 ", False)");
    case v1::Layer::kLayerNorm:
      return WriteLayerNorm(layer);
    case v1::Layer::kActivation:
      return Set(ActivationCall(spec.activation()));
    case v1::Layer::kMaxPooling:
    case v1::Layer::kAveragePooling:
      return WritePooling(layer);
    case v1::Layer::kGlobalPooling:
      return Set(spec.global_pooling() == v1::GLOBAL_POOLING_MAX ? "torch.amax" : "torch.mean",
                 "(x, [2, 3], False)");
    case v1::Layer::kDense:
      return Set("torch.linear(torch.flatten(x, 1, -1), ", Tensor(layer, 0), ", ", Bias(layer),
                 ")");
    case v1::Layer::kResidual:
      return WriteResidual(layer);
    case v1::Layer::kSqueezeExcitation:
      return WriteSqueezeExcitation(layer);
    case v1::Layer::kSpatialAttention:
      return WriteSpatialAttention(layer);
    case v1::Layer::kFlatten:
      return Set("torch.flatten(x, 1, -1)");
    case v1::Layer::kDropout:
    case v1::Layer::kSpatialDropout:
    case v1::Layer::KIND_NOT_SET:
      break;
  }
}

void SourceWriter::WriteConvolution(const LayerPlan& layer) {
  Set(Convolution(layer.window, layer.layer.convolution().groups(), "x", Tensor(layer, 0),
                  Bias(layer)));
}

void SourceWriter::WriteLayerNorm(const LayerPlan& layer) {
  if (layer.gives_image) Set("torch.permute(x, [0, 2, 3, 1])");
  Set("torch.layer_norm(x, ", ListText({layer.output.channels}), ", ", Tensor(layer, 0), ", ",
      Tensor(layer, 1), ", ", absl::StrFormat("%.17g", layer.layer.layer_norm().epsilon()),
      ", False)");
  if (layer.gives_image) Set("torch.permute(x, [0, 3, 1, 2])");
}

void SourceWriter::WritePooling(const LayerPlan& layer) {
  const Window& window = layer.window;
  const std::string sizes = absl::StrCat("(x, ", ListText({window.height, window.width}), ", ",
                                         ListText({window.row_stride, window.column_stride}), ", ",
                                         ListText({window.top, window.left}));
  if (layer.kind() == v1::Layer::kMaxPooling)
    return Set("torch.max_pool2d", sizes, ", [1, 1], False)");
  Set("torch.avg_pool2d", sizes, ", False, False, None)");
}

void SourceWriter::WriteResidual(const LayerPlan& layer) {
  absl::StrAppend(
      &source_, "  ", layer.name, " = ",
      layer.projects() ? Convolution(layer.window, 1, "x", Tensor(layer, 0), "None") : "x", "\n");
  Write(layer.body);
  Set("torch.add(x, ", layer.name, ")");
}

void SourceWriter::WriteSqueezeExcitation(const LayerPlan& layer) {
  absl::StrAppend(&source_, "  s = torch.relu(torch.linear(torch.mean(x, [2, 3], False), ",
                  Tensor(layer, 0), ", ", Tensor(layer, 1), "))\n");
  absl::StrAppend(&source_, "  s = torch.sigmoid(torch.linear(s, ", Tensor(layer, 2), ", ",
                  Tensor(layer, 3), "))\n");
  Set("torch.mul(x, torch.unsqueeze(torch.unsqueeze(s, 2), 3))");
}

void SourceWriter::WriteSpatialAttention(const LayerPlan& layer) {
  absl::StrAppend(&source_,
                  "  s = torch.cat([torch.mean(x, [1], True), torch.amax(x, [1], True)], 1)\n");
  Set("torch.mul(x, torch.sigmoid(", Convolution(layer.window, 1, "s", Tensor(layer, 0), "None"),
      "))");
}

}  // namespace

std::string TorchScriptName(absl::string_view tensor) {
  return absl::StrReplaceAll(tensor, {{".", "_"}});
}

std::string TorchScriptSource(const Architecture& architecture) {
  SourceWriter writer;
  if (architecture.network.has_standardization()) {
    writer.Set("torch.div(torch.sub(x, self.", kMeanBuffer, "), self.", kDeviationBuffer, ")");
  }
  writer.Write(PlanOf(architecture).layers);
  return absl::StrCat("def forward(self, x: Tensor) -> Tensor:\n", writer.source(),
                      "  return torch.softmax(x, 1)\n");
}

std::string SerializeTorchScript(const TrainedModel& model) {
  torch::jit::Module module("__torch__.AtelierClassifier");
  module.register_attribute("training", c10::BoolType::get(), false);
  const std::vector<TensorSpec> specs = TensorSpecsOf(model.architecture);
  const std::vector<at::Tensor> tensors = TensorsOf(model);
  for (size_t i = 0; i < specs.size(); ++i) {
    const std::string name = TorchScriptName(specs[i].name);
    if (specs[i].trainable) {
      module.register_parameter(name, tensors[i], /*is_buffer=*/false);
    } else {
      module.register_buffer(name, tensors[i]);
    }
  }
  RegisterStandardization(model.architecture.network, module);
  module.define(TorchScriptSource(model.architecture));
  std::ostringstream bytes;
  module.save(bytes);
  return bytes.str();
}

absl::StatusOr<TrainedModel> TensorsIn(const torch::jit::Module& module,
                                       const Architecture& architecture) {
  TrainedModel model{architecture, {}};
  for (const TensorSpec& spec : TensorSpecsOf(architecture)) {
    const std::string name = TorchScriptName(spec.name);
    if (!module.hasattr(name) || !module.attr(name).isTensor()) {
      return absl::InternalError(absl::StrCat("model.pt has no tensor ", name));
    }
    const at::Tensor tensor = module.attr(name).toTensor();
    if (tensor.scalar_type() != at::kFloat || tensor.sizes() != at::IntArrayRef(spec.shape)) {
      return absl::InternalError(
          absl::StrCat("the tensor ", name, " of model.pt has another shape or type"));
    }
    model.tensors.push_back({spec.name, spec.shape, NumbersOf(tensor)});
  }
  return model;
}

}  // namespace atelier::models
