#include "models/archive/onnx_export.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/archive/onnx_layers.h"
#include "models/network/layer_plan.h"

namespace atelier::models {
namespace {

static_assert(std::endian::native == std::endian::little, "raw data in ONNX is little-endian");

// Of the file format; the first that knows the operator set.
constexpr int kIrVersion = 7;

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

void FillGraph(const TrainedModel& model, onnx::GraphProto* graph) {
  const Architecture& architecture = model.architecture;
  const ImageShape& shape = architecture.input;
  const std::string& name = architecture.network.name();
  graph->set_name(name.empty() ? "classifier" : name);
  Describe("images", {shape.channels, shape.height, shape.width}, graph->add_input());
  graph->mutable_input(0)->set_doc_string("pixels in [0,1], N x channels x height x width");
  Describe("probabilities", {architecture.classes}, graph->add_output());
  AddWeights(model, graph);
  AddOnnxLayers(PlanOf(architecture), AddOnnxStandardization(architecture.network, "images", graph),
                "probabilities", graph);
}

// As AddWeights writes it.
bool Holds(const onnx::TensorProto& tensor, const TensorSpec& spec) {
  return tensor.data_type() == onnx::TensorProto::FLOAT &&
         std::equal(tensor.dims().begin(), tensor.dims().end(), spec.shape.begin(),
                    spec.shape.end()) &&
         tensor.raw_data().size() == static_cast<size_t>(spec.size()) * sizeof(float);
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

absl::StatusOr<TrainedModel> ParseOnnx(const std::string& bytes, const Architecture& architecture) {
  onnx::ModelProto file;
  if (!file.ParseFromString(bytes)) return absl::InternalError("model.onnx cannot be parsed");
  absl::flat_hash_map<absl::string_view, const onnx::TensorProto*> initializers;
  for (const onnx::TensorProto& tensor : file.graph().initializer()) {
    initializers[tensor.name()] = &tensor;
  }
  TrainedModel model{architecture, {}};
  for (const TensorSpec& spec : TensorSpecsOf(architecture)) {
    const auto found = initializers.find(spec.name);
    if (found == initializers.end()) {
      return absl::InternalError(absl::StrCat("model.onnx has no tensor ", spec.name));
    }
    if (!Holds(*found->second, spec)) {
      return absl::InternalError(
          absl::StrCat("the tensor ", spec.name, " of model.onnx has another shape or type"));
    }
    std::vector<float> values(static_cast<size_t>(spec.size()));
    std::memcpy(values.data(), found->second->raw_data().data(), values.size() * sizeof(float));
    model.tensors.push_back({spec.name, spec.shape, std::move(values)});
  }
  return model;
}

}  // namespace atelier::models
