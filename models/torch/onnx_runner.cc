#include "models/torch/onnx_runner.h"

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace atelier::models {
namespace {

std::vector<int64_t> Dims(const onnx::TensorProto& tensor) {
  return {tensor.dims().begin(), tensor.dims().end()};
}

// A flat copy: of raw data, or of the field of the type.
at::Tensor Values(const onnx::TensorProto& tensor) {
  const bool whole = tensor.data_type() == onnx::TensorProto::INT64;
  if (!whole && tensor.data_type() != onnx::TensorProto::FLOAT) {
    throw std::logic_error("a type that no tensor of model.onnx has");
  }
  if (tensor.has_raw_data()) {
    const auto type = whole ? at::kLong : at::kFloat;
    const auto size = static_cast<int64_t>(tensor.raw_data().size() / (whole ? 8 : 4));
    return at::from_blob(const_cast<char*>(tensor.raw_data().data()), {size}, type).clone();
  }
  if (whole) {
    return at::tensor(std::vector<int64_t>(tensor.int64_data().begin(), tensor.int64_data().end()));
  }
  return at::tensor(std::vector<float>(tensor.float_data().begin(), tensor.float_data().end()));
}

const onnx::AttributeProto* Find(const onnx::NodeProto& node, const std::string& name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

std::vector<int64_t> Ints(const onnx::NodeProto& node, const std::string& name,
                          std::vector<int64_t> otherwise) {
  const onnx::AttributeProto* const found = Find(node, name);
  if (found == nullptr) return otherwise;
  return {found->ints().begin(), found->ints().end()};
}

int64_t Int(const onnx::NodeProto& node, const std::string& name, int64_t otherwise) {
  const onnx::AttributeProto* const found = Find(node, name);
  return found == nullptr ? otherwise : found->i();
}

double Float(const onnx::NodeProto& node, const std::string& name, double otherwise) {
  const onnx::AttributeProto* const found = Find(node, name);
  return found == nullptr ? otherwise : found->f();
}

// With a margin of that value all around.
at::Tensor Padded(const onnx::NodeProto& node, const at::Tensor& x, double value) {
  const std::vector<int64_t> pads = Ints(node, "pads", {0, 0, 0, 0});
  return at::constant_pad_nd(x, {pads.at(1), pads.at(3), pads.at(0), pads.at(2)}, value);
}

// The windows of an image: N×C×rows×columns×height×width.
at::Tensor Windows(const onnx::NodeProto& node, const at::Tensor& padded) {
  const std::vector<int64_t> size = Ints(node, "kernel_shape", {});
  const std::vector<int64_t> stride = Ints(node, "strides", {1, 1});
  return padded.unfold(2, size.at(0), stride.at(0)).unfold(3, size.at(1), stride.at(1));
}

}  // namespace

OnnxRunner::OnnxRunner(const onnx::ModelProto& model) : graph_(model.graph()) {
  for (const onnx::TensorProto& tensor : graph_.initializer()) {
    values_[tensor.name()] = Values(tensor).view(Dims(tensor));
  }
}

at::Tensor OnnxRunner::Run(const at::Tensor& images) {
  values_[graph_.input(0).name()] = images;
  for (const onnx::NodeProto& node : graph_.node()) values_[node.output(0)] = Compute(node);
  return values_.at(graph_.output(0).name());
}

at::Tensor OnnxRunner::In(const onnx::NodeProto& node, int i) const {
  return i < node.input_size() ? values_.at(node.input(i)) : at::Tensor();
}

at::Tensor OnnxRunner::Convolve(const onnx::NodeProto& node) const {
  const std::vector<int64_t> none = {0, 0};
  const at::Tensor bias = In(node, 2);
  return at::conv2d(Padded(node, In(node, 0), 0), In(node, 1),
                    bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt,
                    Ints(node, "strides", {1, 1}), at::IntArrayRef(none),
                    Ints(node, "dilations", {1, 1}), Int(node, "group", 1));
}

// What lies outside counts in neither.
at::Tensor OnnxRunner::Pool(const onnx::NodeProto& node) const {
  const at::Tensor x = In(node, 0);
  if (node.op_type() == "MaxPool") {
    const double least = -std::numeric_limits<double>::infinity();
    return Windows(node, Padded(node, x, least)).amax({4, 5});
  }
  const at::Tensor inside = Windows(node, Padded(node, at::ones_like(x), 0)).sum({4, 5});
  return Windows(node, Padded(node, x, 0)).sum({4, 5}) / inside;
}

// y = scale · (x - mean) / sqrt(variance + epsilon) + bias, of each image's channels.
at::Tensor OnnxRunner::NormalizeInstances(const onnx::NodeProto& node) const {
  const at::Tensor x = In(node, 0).flatten(2);
  const at::Tensor mean = x.mean({2}, true);
  const at::Tensor variance = (x - mean).square().mean({2}, true);
  const at::Tensor normal = (x - mean) / (variance + Float(node, "epsilon", 1e-5)).sqrt();
  return (normal * In(node, 1).view({1, -1, 1}) + In(node, 2).view({1, -1, 1}))
      .view(In(node, 0).sizes());
}

// Gemm.
at::Tensor OnnxRunner::Multiply(const onnx::NodeProto& node) const {
  const at::Tensor product =
      at::matmul(In(node, 0), Int(node, "transB", 0) != 0 ? In(node, 1).t() : In(node, 1));
  return node.input_size() > 2 ? product + In(node, 2) : product;
}

at::Tensor OnnxRunner::Reduce(const onnx::NodeProto& node) const {
  const std::vector<int64_t> axes = Ints(node, "axes", {});
  const bool keep = Int(node, "keepdims", 1) != 0;
  return node.op_type() == "ReduceMean" ? In(node, 0).mean(axes, keep)
                                        : In(node, 0).amax(axes, keep);
}

// A size of 0 is that of the input.
at::Tensor OnnxRunner::Reshape(const onnx::NodeProto& node) const {
  const at::Tensor x = In(node, 0);
  const at::Tensor wanted = In(node, 1);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < wanted.numel(); ++i) {
    const int64_t size = wanted[i].item<int64_t>();
    shape.push_back(size == 0 ? x.size(i) : size);
  }
  return x.reshape(shape);
}

at::Tensor OnnxRunner::Unsqueeze(const onnx::NodeProto& node) const {
  at::Tensor x = In(node, 0);
  for (int64_t i = 0; i < In(node, 1).numel(); ++i) {
    x = x.unsqueeze(In(node, 1)[i].item<int64_t>());
  }
  return x;
}

at::Tensor OnnxRunner::Activate(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  const at::Tensor x = In(node, 0);
  if (op == "Relu") return x.clamp_min(0);
  if (op == "LeakyRelu") return at::where(x < 0, x * Float(node, "alpha", 0.01), x);
  if (op == "Elu") return at::where(x < 0, (x.exp() - 1) * Float(node, "alpha", 1), x);
  if (op == "HardSigmoid") {
    return (x * Float(node, "alpha", 0.2) + Float(node, "beta", 0.5)).clamp(0, 1);
  }
  if (op == "Tanh") return at::tanh(x);
  if (op == "Erf") return at::erf(x);
  if (op == "Sqrt") return at::sqrt(x);
  if (op == "Sigmoid") return at::sigmoid(x);
  throw std::logic_error("no operator of model.onnx: " + op);
}

at::Tensor OnnxRunner::Compute(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  if (op == "Conv") return Convolve(node);
  if (op == "BatchNormalization") {
    return at::batch_norm(In(node, 0), In(node, 1), In(node, 2), In(node, 3), In(node, 4), false, 0,
                          Float(node, "epsilon", 1e-5), false);
  }
  if (op == "InstanceNormalization") return NormalizeInstances(node);
  if (op == "MaxPool" || op == "AveragePool") return Pool(node);
  if (op == "GlobalAveragePool") return In(node, 0).mean({2, 3}, true);
  if (op == "GlobalMaxPool") return In(node, 0).amax({2, 3}, true);
  if (op == "ReduceMean" || op == "ReduceMax") return Reduce(node);
  if (op == "Concat") return at::cat({In(node, 0), In(node, 1)}, Int(node, "axis", 0));
  if (op == "Flatten") return In(node, 0).flatten(Int(node, "axis", 1));
  if (op == "Reshape") return Reshape(node);
  if (op == "Gemm") return Multiply(node);
  if (op == "Unsqueeze") return Unsqueeze(node);
  if (op == "Mul") return In(node, 0) * In(node, 1);
  if (op == "Div") return In(node, 0) / In(node, 1);
  if (op == "Sub") return In(node, 0) - In(node, 1);
  if (op == "Add") return In(node, 0) + In(node, 1);
  if (op == "Softmax") return at::softmax(In(node, 0), Int(node, "axis", -1));
  return Activate(node);
}

}  // namespace atelier::models
