#include "models/torch/torchscript.h"

#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

// Whether a later block adds the output of block `number`, counted from 1.
bool SkippedFrom(const Architecture& architecture, size_t number) {
  for (size_t i = number + 1; i <= architecture.conv_blocks.size(); ++i) {
    const auto skip = static_cast<size_t>(architecture.conv_blocks[i - 1].skip);
    if (skip > 0 && i - skip == number) return true;
  }
  return false;
}

// The lines of block i's convolution and ReLU.
std::string ConvolutionSource(const ConvBlock& block, size_t i) {
  const Padding around = block.padding();
  std::string source;
  std::string padding = absl::StrCat(around.top, ", ", around.left);
  if (!around.symmetric()) {
    source = absl::StrFormat("  x = torch.constant_pad_nd(x, [%d, %d, %d, %d], 0)\n", around.left,
                             around.right, around.top, around.bottom);
    padding = "0, 0";
  }
  absl::StrAppendFormat(&source,
                        "  x = torch.conv2d(x, self.conv%1$d_weight, self.conv%1$d_bias, "
                        "[%2$d, %2$d], [%3$s], [1, 1], %4$d)\n  x = torch.relu(x)\n",
                        i, block.stride, padding, block.groups);
  return source;
}

}  // namespace

// Names of attributes cannot have dots.
std::string TorchScriptName(absl::string_view tensor) {
  return absl::StrReplaceAll(tensor, {{".", "_"}});
}

std::string TorchScriptSource(const Architecture& architecture) {
  std::string source = "def forward(self, x: Tensor) -> Tensor:\n";
  const size_t blocks = architecture.conv_blocks.size();
  for (size_t i = 1; i <= blocks; ++i) {
    const ConvBlock& block = architecture.conv_blocks[i - 1];
    absl::StrAppend(&source, ConvolutionSource(block, i));
    absl::StrAppendFormat(&source,
                          "  x = torch.batch_norm(x, self.norm%1$d_weight, self.norm%1$d_bias, "
                          "self.norm%1$d_running_mean, self.norm%1$d_running_var, False, 0.0, "
                          "%2$.17g, False)\n",
                          i, architecture.batch_norm_epsilon);
    if (block.pool >= 2) {
      absl::StrAppendFormat(
          &source, "  x = torch.max_pool2d(x, [%1$d, %1$d], [%1$d, %1$d], [0, 0], [1, 1], False)\n",
          block.pool);
    }
    if (block.squeeze > 0) {
      absl::StrAppendFormat(&source,
                            "  s = torch.relu(torch.linear(torch.mean(x, [2, 3], False), "
                            "self.squeeze%1$d_weight, self.squeeze%1$d_bias))\n"
                            "  s = torch.sigmoid(torch.linear(s, self.excite%1$d_weight, "
                            "self.excite%1$d_bias))\n"
                            "  x = torch.mul(x, torch.unsqueeze(torch.unsqueeze(s, 2), 3))\n",
                            i);
    }
    const auto skip = static_cast<size_t>(block.skip);
    if (skip > 0) absl::StrAppend(&source, "  x = torch.add(x, block", i - skip, ")\n");
    if (SkippedFrom(architecture, i)) absl::StrAppend(&source, "  block", i, " = x\n");
  }
  if (architecture.average_features) {
    absl::StrAppend(&source, "  x = torch.mean(x, [2, 3], False)\n");
  }
  absl::StrAppend(&source, "  x = torch.flatten(x, 1, -1)\n");
  for (size_t j = 1; j <= architecture.dense_layers.size(); ++j) {
    absl::StrAppendFormat(
        &source, "  x = torch.relu(torch.linear(x, self.dense%1$d_weight, self.dense%1$d_bias))\n",
        j);
  }
  absl::StrAppend(&source,
                  "  return torch.softmax(torch.linear(x, self.output_weight, self.output_bias), "
                  "1)\n");
  return source;
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
    const at::Tensor values = tensor.detach().contiguous();
    const float* const first = values.data_ptr<float>();
    model.tensors.push_back(
        {spec.name, spec.shape, std::vector<float>(first, first + values.numel())});
  }
  return model;
}

absl::StatusOr<TrainedModel> ParseTorchScript(const std::string& bytes,
                                              const Architecture& architecture) {
  std::istringstream stream(bytes);
  return TensorsIn(torch::jit::load(stream), architecture);
}

}  // namespace atelier::models
