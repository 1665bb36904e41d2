#include "models/archive/onnx_export.h"

#include <onnx/onnx_pb.h>

#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::models {
namespace {

static_assert(std::endian::native == std::endian::little, "raw data in ONNX is little-endian");

// Of the file format; the first that knows the operator set.
constexpr int kIrVersion = 7;
constexpr char kPixelAxes[] = "pixel_axes";

// Appends nodes to a graph, each fed by the one before.
class GraphWriter {
 public:
  GraphWriter(const std::string& input, onnx::GraphProto* graph) : graph_(graph), last_(input) {}

  // A node whose further inputs are initialisers; it and its output are called `name`.
  onnx::NodeProto* Add(const std::string& op, const std::string& name,
                       const std::vector<std::string>& weights = {}) {
    onnx::NodeProto* const node = graph_->add_node();
    node->set_op_type(op);
    node->set_name(name);
    node->add_input(last_);
    for (const std::string& weight : weights) node->add_input(weight);
    node->add_output(name);
    last_ = name;
    return node;
  }

  const std::string& last() const { return last_; }

 private:
  onnx::GraphProto* const graph_;
  std::string last_;
};

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

// Describes an input or output whose first dimension is any batch size.
void Describe(const std::string& name, const std::vector<int64_t>& shape,
              onnx::ValueInfoProto* info) {
  info->set_name(name);
  onnx::TypeProto_Tensor* const tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx::TensorProto::FLOAT);
  tensor->mutable_shape()->add_dim()->set_dim_param("batch");
  for (const int64_t size : shape) tensor->mutable_shape()->add_dim()->set_dim_value(size);
}

void AddWeights(const TrainedModel& model, onnx::GraphProto* graph) {
  for (const NamedTensor& from : model.tensors) {
    onnx::TensorProto* const tensor = graph->add_initializer();
    tensor->set_name(from.name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t size : from.shape) tensor->add_dims(size);
    tensor->set_raw_data(from.values.data(), from.values.size() * sizeof(float));
  }
}

void AddConvBlock(const Architecture& architecture, size_t number, GraphWriter* writer) {
  const std::string conv = absl::StrCat("conv", number);
  const ConvBlock& block = architecture.conv_blocks[number - 1];
  onnx::NodeProto* node = writer->Add("Conv", conv, {conv + ".weight", conv + ".bias"});
  const Padding around = block.padding();
  SetInts("kernel_shape", {block.kernel_height, block.kernel_width}, node);
  SetInts("pads", {around.top, around.left, around.bottom, around.right}, node);
  // As it always was for networks without.
  if (block.stride != 1) SetInts("strides", {block.stride, block.stride}, node);
  if (block.groups != 1) SetInt("group", block.groups, node);
  writer->Add("Relu", conv + "_relu");
  const std::string norm = absl::StrCat("norm", number);
  node = writer->Add(
      "BatchNormalization", norm,
      {norm + ".weight", norm + ".bias", norm + ".running_mean", norm + ".running_var"});
  SetFloat("epsilon", architecture.batch_norm_epsilon, node);
  const int64_t pool = block.pool;
  if (pool < 2) return;
  node = writer->Add("MaxPool", absl::StrCat("pool", number));
  SetInts("kernel_shape", {pool, pool}, node);
  SetInts("strides", {pool, pool}, node);
}

void AddDense(const std::string& name, GraphWriter* writer) {
  SetInt("transB", 1, writer->Add("Gemm", name, {name + ".weight", name + ".bias"}));
}

void AddSqueezeExcitation(size_t number, GraphWriter* writer) {
  const std::string map = writer->last();
  const std::string squeeze = absl::StrCat("squeeze", number);
  const std::string excite = absl::StrCat("excite", number);
  writer->Add("GlobalAveragePool", squeeze + "_mean");
  SetInt("axis", 1, writer->Add("Flatten", squeeze + "_means"));
  AddDense(squeeze, writer);
  writer->Add("Relu", squeeze + "_relu");
  AddDense(excite, writer);
  writer->Add("Sigmoid", excite + "_sigmoid");
  writer->Add("Unsqueeze", excite + "_gates", {kPixelAxes});
  writer->Add("Mul", absl::StrCat("scale", number), {map});
}

// The axes that Unsqueeze adds: in this operator set an input.
void AddPixelAxes(onnx::GraphProto* graph) {
  onnx::TensorProto* const axes = graph->add_initializer();
  axes->set_name(kPixelAxes);
  axes->set_data_type(onnx::TensorProto::INT64);
  axes->add_dims(2);
  axes->add_int64_data(2);
  axes->add_int64_data(3);
}

void FillGraph(const TrainedModel& model, onnx::GraphProto* graph) {
  const Architecture& architecture = model.architecture;
  const ImageShape& shape = architecture.input;
  graph->set_name(architecture.name.empty() ? "classifier" : architecture.name);
  Describe("images", {shape.channels, shape.height, shape.width}, graph->add_input());
  graph->mutable_input(0)->set_doc_string("pixels in [0,1], N x channels x height x width");
  Describe("probabilities", {architecture.classes}, graph->add_output());
  GraphWriter writer("images", graph);
  // Of each block.
  std::vector<std::string> outputs;
  bool squeezes = false;
  for (const ConvBlock& block : architecture.conv_blocks) {
    const size_t number = outputs.size() + 1;
    AddConvBlock(architecture, number, &writer);
    if (block.squeeze > 0) AddSqueezeExcitation(number, &writer);
    squeezes |= block.squeeze > 0;
    if (block.skip > 0) {
      writer.Add("Add", absl::StrCat("skip", number),
                 {outputs[outputs.size() - static_cast<size_t>(block.skip)]});
    }
    outputs.push_back(writer.last());
  }
  if (architecture.average_features) writer.Add("GlobalAveragePool", "average");
  SetInt("axis", 1, writer.Add("Flatten", "features"));
  for (size_t j = 1; j <= architecture.dense_layers.size(); ++j) {
    const std::string dense = absl::StrCat("dense", j);
    AddDense(dense, &writer);
    writer.Add("Relu", dense + "_relu");
  }
  AddDense("output", &writer);
  SetInt("axis", 1, writer.Add("Softmax", "probabilities"));
  AddWeights(model, graph);
  if (squeezes) AddPixelAxes(graph);
}

}  // namespace

absl::StatusOr<std::string> SerializeOnnx(const TrainedModel& model,
                                          const std::vector<std::string>& class_names) {
  onnx::ModelProto file;
  file.set_ir_version(kIrVersion);
  file.set_producer_name("Atelier");
  onnx::OperatorSetIdProto* const opset = file.add_opset_import();
  opset->set_domain("");
  opset->set_version(kOnnxOpset);
  onnx::StringStringEntryProto* const names = file.add_metadata_props();
  names->set_key("class_names");
  names->set_value(nlohmann::json(class_names).dump());
  FillGraph(model, file.mutable_graph());
  if (const size_t size = file.ByteSizeLong(); size > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("as ONNX the model has ", size, " bytes; at most 2147483647 are possible"));
  }
  return file.SerializeAsString();
}

}  // namespace atelier::models
