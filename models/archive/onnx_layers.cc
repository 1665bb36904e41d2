#include "models/archive/onnx_layers.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::models {
namespace {

using Names = std::vector<std::string>;

onnx::AttributeProto* AddAttribute(absl::string_view name, onnx::AttributeProto::AttributeType type,
                                   onnx::NodeProto* node) {
  onnx::AttributeProto* const attribute = node->add_attribute();
  attribute->set_name(std::string(name));
  attribute->set_type(type);
  return attribute;
}

void SetInt(absl::string_view name, int64_t value, onnx::NodeProto* node) {
  AddAttribute(name, onnx::AttributeProto::INT, node)->set_i(value);
}

void SetFloat(absl::string_view name, double value, onnx::NodeProto* node) {
  AddAttribute(name, onnx::AttributeProto::FLOAT, node)->set_f(static_cast<float>(value));
}

void SetInts(absl::string_view name, const std::vector<int64_t>& values, onnx::NodeProto* node) {
  onnx::AttributeProto* const attribute = AddAttribute(name, onnx::AttributeProto::INTS, node);
  for (const int64_t value : values) attribute->add_ints(value);
}

Names TensorNames(const LayerPlan& layer) {
  Names names;
  for (const TensorSpec& tensor : layer.tensors) names.push_back(tensor.name);
  return names;
}

// Appends nodes to a graph, each fed by the one before unless it says otherwise.
class LayerWriter {
 public:
  LayerWriter(const std::string& input, onnx::GraphProto* graph) : graph_(graph), last_(input) {}

  void Write(const std::vector<LayerPlan>& layers) {
    for (const LayerPlan& layer : layers) {
      WriteLayer(layer);
      image_ = layer.gives_image;
    }
  }

  // A node of these inputs; it and its output are called `name`.
  onnx::NodeProto* AddOf(const std::string& op, const std::string& name, const Names& inputs) {
    onnx::NodeProto* const node = graph_->add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(name);
    last_ = name;
    return node;
  }
  // A node whose first input is the last node's output.
  onnx::NodeProto* Add(const std::string& op, const std::string& name, const Names& further = {}) {
    Names inputs = {last_};
    inputs.insert(inputs.end(), further.begin(), further.end());
    return AddOf(op, name, inputs);
  }

  // Constants, by that name; floats of those dimensions, none for a number.
  std::string Constant(const std::string& name, const std::vector<int64_t>& values);
  std::string Constant(const std::string& name, const std::vector<float>& values,
                       const std::vector<int64_t>& dims);

 private:
  void WriteLayer(const LayerPlan& layer);
  void WriteConvolution(const Window& window, int64_t groups, onnx::NodeProto* node);
  void WriteActivation(const std::string& name, v1::Activation activation);
  void WriteGroupNorm(const LayerPlan& layer);
  void WriteLayerNorm(const LayerPlan& layer);
  void WriteScaleAndShift(const LayerPlan& layer);
  void WritePooling(const LayerPlan& layer);
  void WriteGlobalPooling(const LayerPlan& layer);
  void WriteDense(const std::string& name, const Names& tensors);
  void WriteResidual(const LayerPlan& layer);
  void WriteSqueezeExcitation(const LayerPlan& layer);
  void WriteSpatialAttention(const LayerPlan& layer);

  onnx::GraphProto* const graph_;
  std::string last_;
  // Whether that is an image.
  bool image_ = true;
};

void LayerWriter::WriteLayer(const LayerPlan& layer) {
  const v1::Layer& spec = layer.layer;
  switch (layer.kind()) {
    case v1::Layer::kConvolution:
      return WriteConvolution(layer.window, spec.convolution().groups(),
                              Add("Conv", layer.name, TensorNames(layer)));
    case v1::Layer::kBatchNorm:
      return SetFloat("epsilon", spec.batch_norm().epsilon(),
                      Add("BatchNormalization", layer.name, TensorNames(layer)));
    case v1::Layer::kGroupNorm:
      return WriteGroupNorm(layer);
    case v1::Layer::kLayerNorm:
      return WriteLayerNorm(layer);
    case v1::Layer::kActivation:
      return WriteActivation(layer.name, spec.activation());
    case v1::Layer::kMaxPooling:
    case v1::Layer::kAveragePooling:
      return WritePooling(layer);
    case v1::Layer::kGlobalPooling:
      return WriteGlobalPooling(layer);
    case v1::Layer::kDense:
      if (image_) SetInt("axis", 1, Add("Flatten", layer.name + "_input"));
      return WriteDense(layer.name, TensorNames(layer));
    case v1::Layer::kResidual:
      return WriteResidual(layer);
    case v1::Layer::kSqueezeExcitation:
      return WriteSqueezeExcitation(layer);
    case v1::Layer::kSpatialAttention:
      return WriteSpatialAttention(layer);
    case v1::Layer::kFlatten:
      return SetInt("axis", 1, Add("Flatten", layer.name));
    case v1::Layer::kDropout:
    case v1::Layer::kSpatialDropout:
    case v1::Layer::KIND_NOT_SET:
      break;
  }
}

void LayerWriter::WriteConvolution(const Window& window, int64_t groups, onnx::NodeProto* node) {
  SetInts("kernel_shape", {window.height, window.width}, node);
  SetInts("pads", {window.top, window.left, window.bottom, window.right}, node);
  SetInts("strides", {window.row_stride, window.column_stride}, node);
  SetInts("dilations", {window.dilation, window.dilation}, node);
  SetInt("group", groups, node);
}

void LayerWriter::WriteActivation(const std::string& name, v1::Activation activation) {
  const std::string x = last_;
  switch (activation) {
    case v1::ACTIVATION_LEAKY_RELU:
      return SetFloat("alpha", 0.01, Add("LeakyRelu", name));
    case v1::ACTIVATION_ELU:
      return SetFloat("alpha", 1, Add("Elu", name));
    case v1::ACTIVATION_GELU:
      Add("Mul", name + "_scaled",
          {Constant(name + "_scale", {static_cast<float>(M_SQRT1_2)}, {})});
      Add("Erf", name + "_erf");
      Add("Add", name + "_raised", {Constant(name + "_one", {1.0F}, {})});
      Add("Mul", name + "_half", {Constant(name + "_halves", {0.5F}, {})});
      Add("Mul", name, {x});
      return;
    case v1::ACTIVATION_SILU:
      Add("Sigmoid", name + "_sigmoid");
      Add("Mul", name, {x});
      return;
    case v1::ACTIVATION_HARD_SWISH: {
      onnx::NodeProto* const gate = Add("HardSigmoid", name + "_gate");
      SetFloat("alpha", 1.0 / 6, gate);
      SetFloat("beta", 0.5, gate);
      Add("Mul", name, {x});
      return;
    }
    case v1::ACTIVATION_TANH:
      Add("Tanh", name);
      return;
    case v1::ACTIVATION_SIGMOID:
      Add("Sigmoid", name);
      return;
    default:
      Add("Relu", name);
  }
}

// ONNX has instance normalisation: groups become its channels.
void LayerWriter::WriteGroupNorm(const LayerPlan& layer) {
  const int64_t groups = layer.layer.group_norm().groups();
  const auto count = static_cast<size_t>(groups);
  const std::string& name = layer.name;
  const ImageShape& shape = layer.output;
  Add("Reshape", name + "_groups", {Constant(name + "_group_shape", {0, groups, -1})});
  SetFloat(
      "epsilon", layer.layer.group_norm().epsilon(),
      Add("InstanceNormalization", name + "_normal",
          {Constant(name + "_ones", std::vector<float>(count, 1.0F), {static_cast<int64_t>(count)}),
           Constant(name + "_zeros", std::vector<float>(count, 0.0F),
                    {static_cast<int64_t>(count)})}));
  std::vector<int64_t> plain = {0, shape.channels};
  if (layer.gives_image) plain.insert(plain.end(), {shape.height, shape.width});
  Add("Reshape", name + "_channels", {Constant(name + "_shape", plain)});
  WriteScaleAndShift(layer);
}

// The definition, over the channels.
void LayerWriter::WriteLayerNorm(const LayerPlan& layer) {
  const std::string& name = layer.name;
  const std::string x = last_;
  SetInts("axes", {1}, Add("ReduceMean", name + "_mean"));
  const std::string centred = name + "_centred";
  AddOf("Sub", centred, {x, last_});
  Add("Mul", name + "_squares", {centred});
  SetInts("axes", {1}, Add("ReduceMean", name + "_variance"));
  const auto epsilon = static_cast<float>(layer.layer.layer_norm().epsilon());
  Add("Add", name + "_raised", {Constant(name + "_epsilon", {epsilon}, {})});
  Add("Sqrt", name + "_deviation");
  AddOf("Div", name + "_normal", {centred, last_});
  WriteScaleAndShift(layer);
}

// Multiplies each channel by the layer's first tensor and adds its second.
void LayerWriter::WriteScaleAndShift(const LayerPlan& layer) {
  const std::string x = last_;
  Names factors = TensorNames(layer);
  if (layer.gives_image) {
    const std::string axes = Constant(layer.name + "_axes", {1, 2});
    for (std::string& factor : factors) {
      const std::string plane = factor + "_plane";
      AddOf("Unsqueeze", plane, {factor, axes});
      factor = plane;
    }
  }
  AddOf("Mul", layer.name + "_scaled", {x, factors[0]});
  Add("Add", layer.name, {factors[1]});
}

void LayerWriter::WritePooling(const LayerPlan& layer) {
  const Window& window = layer.window;
  const bool max = layer.kind() == v1::Layer::kMaxPooling;
  onnx::NodeProto* const node = Add(max ? "MaxPool" : "AveragePool", layer.name);
  SetInts("kernel_shape", {window.height, window.width}, node);
  SetInts("strides", {window.row_stride, window.column_stride}, node);
  SetInts("pads", {window.top, window.left, window.bottom, window.right}, node);
}

void LayerWriter::WriteGlobalPooling(const LayerPlan& layer) {
  const bool max = layer.layer.global_pooling() == v1::GLOBAL_POOLING_MAX;
  Add(max ? "GlobalMaxPool" : "GlobalAveragePool", layer.name + "_pixel");
  SetInt("axis", 1, Add("Flatten", layer.name));
}

void LayerWriter::WriteDense(const std::string& name, const Names& tensors) {
  SetInt("transB", 1, Add("Gemm", name, tensors));
}

void LayerWriter::WriteResidual(const LayerPlan& layer) {
  const std::string x = last_;
  std::string shortcut = x;
  if (layer.projects()) {
    WriteConvolution(layer.window, 1, Add("Conv", layer.name + "_projection", TensorNames(layer)));
    shortcut = last_;
  }
  last_ = x;
  Write(layer.body);
  Add("Add", layer.name, {shortcut});
}

void LayerWriter::WriteSqueezeExcitation(const LayerPlan& layer) {
  const std::string x = last_;
  const Names tensors = TensorNames(layer);
  const std::string& name = layer.name;
  Add("GlobalAveragePool", name + "_mean");
  SetInt("axis", 1, Add("Flatten", name + "_means"));
  WriteDense(name + "_units", {tensors[0], tensors[1]});
  Add("Relu", name + "_relu");
  WriteDense(name + "_factors", {tensors[2], tensors[3]});
  Add("Sigmoid", name + "_sigmoid");
  Add("Unsqueeze", name + "_gates", {Constant(name + "_axes", {2, 3})});
  Add("Mul", name, {x});
}

void LayerWriter::WriteSpatialAttention(const LayerPlan& layer) {
  const std::string x = last_;
  const std::string& name = layer.name;
  SetInts("axes", {1}, AddOf("ReduceMean", name + "_mean", {x}));
  SetInts("axes", {1}, AddOf("ReduceMax", name + "_max", {x}));
  SetInt("axis", 1, AddOf("Concat", name + "_both", {name + "_mean", name + "_max"}));
  WriteConvolution(layer.window, 1, Add("Conv", name + "_map", TensorNames(layer)));
  Add("Sigmoid", name + "_sigmoid");
  Add("Mul", name, {x});
}

std::string LayerWriter::Constant(const std::string& name, const std::vector<int64_t>& values) {
  onnx::TensorProto* const tensor = graph_->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (const int64_t value : values) tensor->add_int64_data(value);
  return name;
}

std::string LayerWriter::Constant(const std::string& name, const std::vector<float>& values,
                                  const std::vector<int64_t>& dims) {
  onnx::TensorProto* const tensor = graph_->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->mutable_dims()->Assign(dims.begin(), dims.end());
  for (const float value : values) tensor->add_float_data(value);
  return name;
}

}  // namespace

std::string AddOnnxStandardization(const v1::Network& network, const std::string& input,
                                   onnx::GraphProto* graph) {
  if (!network.has_standardization()) return input;
  const std::string name = "standardization";
  LayerWriter writer(input, graph);
  const auto constant = [&](const char* what, const auto& numbers) {
    return writer.Constant(absl::StrCat(name, "_", what), {numbers.begin(), numbers.end()},
                           {int64_t{numbers.size()}, 1, 1});
  };
  const v1::Standardization& standardization = network.standardization();
  writer.Add("Sub", name + "_centred", {constant("mean", standardization.mean())});
  writer.Add("Div", name, {constant("deviation", standardization.deviation())});
  return name;
}

void AddOnnxLayers(const NetworkPlan& plan, const std::string& input, const std::string& output,
                   onnx::GraphProto* graph) {
  LayerWriter writer(input, graph);
  writer.Write(plan.layers);
  SetInt("axis", 1, writer.Add("Softmax", output));
}

}  // namespace atelier::models
