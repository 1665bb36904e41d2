// Computes the graph of a model.onnx with LibTorch, node by node, each operator as ONNX defines it:
// what shows that the file answers as the network it was made from. Private to models/: it needs
// LibTorch's and ONNX's headers. Used by one thread.
#ifndef ATELIER_MODELS_TORCH_ONNX_RUNNER_H_
#define ATELIER_MODELS_TORCH_ONNX_RUNNER_H_

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "models/torch/libtorch.h"

namespace atelier::models {

class OnnxRunner {
 public:
  // `model` must outlive the runner. Throws std::logic_error for tensors of types, and what
  // LibTorch throws for shapes, that no model.onnx of ours has.
  explicit OnnxRunner(const onnx::ModelProto& model);

  // N×classes, of images N×C×H×W. Throws also for operators that no model.onnx of ours has.
  at::Tensor Run(const at::Tensor& images);

 private:
  at::Tensor In(const onnx::NodeProto& node, int i) const;
  at::Tensor Compute(const onnx::NodeProto& node) const;
  at::Tensor Convolve(const onnx::NodeProto& node) const;
  at::Tensor Pool(const onnx::NodeProto& node) const;
  at::Tensor NormalizeInstances(const onnx::NodeProto& node) const;
  at::Tensor Multiply(const onnx::NodeProto& node) const;
  at::Tensor Reduce(const onnx::NodeProto& node) const;
  at::Tensor Reshape(const onnx::NodeProto& node) const;
  at::Tensor Unsqueeze(const onnx::NodeProto& node) const;
  at::Tensor Activate(const onnx::NodeProto& node) const;

  const onnx::GraphProto& graph_;
  // By name.
  std::map<std::string, at::Tensor> values_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_ONNX_RUNNER_H_
