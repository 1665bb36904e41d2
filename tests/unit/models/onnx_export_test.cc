#include "models/archive/onnx_export.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/presets.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;

const std::vector<std::string>& Names() {
  static const auto* names = new std::vector<std::string>{"a", "b", "c", "d"};
  return *names;
}

TrainedModel Untrained(const std::string& preset) {
  return TrainedModel::Initial(*Architecture::FromPreset(preset, {3, 20, 24}, 4, 0.3), 5);
}

onnx::ModelProto Export(const TrainedModel& model) {
  const auto bytes = SerializeOnnx(model, Names());
  onnx::ModelProto file;
  if (!bytes.ok() || !file.ParseFromString(*bytes)) ADD_FAILURE() << bytes.status();
  return file;
}

std::vector<std::string> ShapeOf(const onnx::ValueInfoProto& info) {
  std::vector<std::string> shape;
  for (const auto& dimension : info.type().tensor_type().shape().dim()) {
    shape.push_back(dimension.has_dim_param() ? dimension.dim_param()
                                              : std::to_string(dimension.dim_value()));
  }
  return shape;
}

TEST(OnnxExportTest, OnnxItselfFindsNoFaultInAnyPreset) {
  for (const std::string& preset : PresetNames()) {
    onnx::ModelProto file = Export(Untrained(preset));
    EXPECT_NO_THROW(onnx::checker::check_model(file)) << preset;
    // What the operators make of the input's shape is what we say of the output's.
    file.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
    EXPECT_NO_THROW(onnx::shape_inference::InferShapes(file)) << preset;
    EXPECT_THAT(ShapeOf(file.graph().output(0)), ElementsAre("batch", "4")) << preset;
  }
}

TEST(OnnxExportTest, SaysWhatGoesInAndWhatComesOut) {
  const onnx::ModelProto file = Export(Untrained("cnn-1"));
  ASSERT_EQ(file.graph().input_size(), 1);
  EXPECT_EQ(file.graph().input(0).name(), "images");
  EXPECT_THAT(ShapeOf(file.graph().input(0)), ElementsAre("batch", "3", "20", "24"));
  ASSERT_EQ(file.graph().output_size(), 1);
  EXPECT_EQ(file.graph().output(0).name(), "probabilities");
  EXPECT_THAT(ShapeOf(file.graph().output(0)), ElementsAre("batch", "4"));
  EXPECT_EQ(file.opset_import(0).version(), kOnnxOpset);
  ASSERT_EQ(file.metadata_props_size(), 1);
  EXPECT_EQ(nlohmann::json::parse(file.metadata_props(0).value()), nlohmann::json(Names()));
}

TEST(OnnxExportTest, HoldsEveryWeight) {
  const TrainedModel model = Untrained("cnn-2");
  const onnx::ModelProto file = Export(model);
  ASSERT_EQ(static_cast<size_t>(file.graph().initializer_size()), model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const onnx::TensorProto& tensor = file.graph().initializer(static_cast<int>(i));
    EXPECT_EQ(tensor.name(), model.tensors[i].name);
    EXPECT_EQ(std::vector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
              model.tensors[i].shape);
    std::vector<float> values(tensor.raw_data().size() / sizeof(float));
    std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
    EXPECT_EQ(values, model.tensors[i].values) << tensor.name();
  }
}

TEST(OnnxExportTest, CarriesTheEpsilonAndThePooling) {
  TrainedModel model = Untrained("cnn-1");
  v1::Network& network = model.architecture.network;
  network.mutable_layers(2)->mutable_batch_norm()->set_epsilon(0.25);
  const onnx::ModelProto file = Export(model);
  std::vector<std::string> operators;
  for (const onnx::NodeProto& node : file.graph().node()) {
    operators.push_back(node.op_type());
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == "epsilon") {
        EXPECT_EQ(attribute.f(), 0.25F);
      }
      if (node.op_type() == "MaxPool" && attribute.name() == "strides") {
        EXPECT_EQ(network.layers(3).max_pooling().size(), 4);
        EXPECT_THAT(attribute.ints(), ElementsAre(4, 4));
      }
    }
  }
  EXPECT_THAT(operators, ElementsAre("Conv", "Relu", "BatchNormalization", "MaxPool", "Flatten",
                                     "Gemm", "Relu", "Gemm", "Softmax"));
}

}  // namespace
}  // namespace atelier::models
