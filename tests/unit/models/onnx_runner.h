// Computes a graph of the operators that model.onnx may have, each as ONNX defines it.
#ifndef ATELIER_TESTS_UNIT_MODELS_ONNX_RUNNER_H_
#define ATELIER_TESTS_UNIT_MODELS_ONNX_RUNNER_H_

#include <onnx/onnx_pb.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/torch/libtorch.h"

namespace atelier::models {

class OnnxRunner {
 public:
  explicit OnnxRunner(const onnx::ModelProto& model) : graph_(model.graph()) {
    for (const onnx::TensorProto& tensor : graph_.initializer()) {
      if (tensor.data_type() != onnx::TensorProto::FLOAT) continue;
      const std::vector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
      values_[tensor.name()] =
          at::from_blob(const_cast<char*>(tensor.raw_data().data()), shape, at::kFloat).clone();
    }
  }

  // N×classes.
  at::Tensor Run(const at::Tensor& images) {
    values_[graph_.input(0).name()] = images;
    for (const onnx::NodeProto& node : graph_.node()) values_[node.output(0)] = Compute(node);
    return values_.at(graph_.output(0).name());
  }

 private:
  static std::vector<int64_t> Ints(const onnx::NodeProto& node, const std::string& name,
                                   std::vector<int64_t> otherwise) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == name) return {attribute.ints().begin(), attribute.ints().end()};
    }
    return otherwise;
  }

  static int64_t Int(const onnx::NodeProto& node, const std::string& name, int64_t otherwise) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == name) return attribute.i();
    }
    return otherwise;
  }

  static double Epsilon(const onnx::NodeProto& node) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == "epsilon") return attribute.f();
    }
    return 1e-5;
  }

  at::Tensor In(const onnx::NodeProto& node, int i) const { return values_.at(node.input(i)); }

  at::Tensor Convolve(const onnx::NodeProto& node) const {
    const std::vector<int64_t> pads = Ints(node, "pads", {0, 0, 0, 0});
    const std::vector<int64_t> none = {0, 0};
    const at::Tensor x = at::constant_pad_nd(In(node, 0), {pads[1], pads[3], pads[0], pads[2]});
    return at::conv2d(x, In(node, 1), In(node, 2), Ints(node, "strides", {1, 1}),
                      at::IntArrayRef(none), 1, Int(node, "group", 1));
  }

  at::Tensor Compute(const onnx::NodeProto& node) const {
    const std::string& op = node.op_type();
    if (op == "Conv") return Convolve(node);
    if (op == "Relu") return at::relu(In(node, 0));
    if (op == "Sigmoid") return at::sigmoid(In(node, 0));
    if (op == "BatchNormalization") {
      return at::batch_norm(In(node, 0), In(node, 1), In(node, 2), In(node, 3), In(node, 4), false,
                            0, Epsilon(node), false);
    }
    if (op == "MaxPool") {
      return at::max_pool2d(In(node, 0), Ints(node, "kernel_shape", {}),
                            Ints(node, "strides", {1, 1}));
    }
    if (op == "GlobalAveragePool") return In(node, 0).mean({2, 3}, true);
    if (op == "Flatten") return In(node, 0).flatten(1);
    if (op == "Gemm") return at::linear(In(node, 0), In(node, 1), In(node, 2));
    if (op == "Unsqueeze") return In(node, 0).unsqueeze(2).unsqueeze(3);
    if (op == "Mul") return In(node, 0) * In(node, 1);
    if (op == "Add") return In(node, 0) + In(node, 1);
    if (op == "Softmax") return at::softmax(In(node, 0), 1);
    throw std::logic_error("no operator of model.onnx: " + op);
  }

  const onnx::GraphProto& graph_;
  std::map<std::string, at::Tensor> values_;
};

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_ONNX_RUNNER_H_
