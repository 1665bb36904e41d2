#include "models/network/architecture.h"

#include <google/protobuf/util/json_util.h>

#include <exception>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/json_integer.h"
#include "models/network/block_network.h"
#include "models/network/layer_plan.h"

namespace atelier::models {
namespace {

constexpr char kNetworkField[] = "network";
// Of version 0.1.0.
constexpr char kBlocksField[] = "conv_blocks";

template <typename Count>
int64_t SumOverTensors(const Architecture& architecture, const Count& count) {
  int64_t sum = 0;
  ForEachLayer(PlanOf(architecture).layers, [&](const LayerPlan& layer) {
    for (const TensorSpec& tensor : layer.tensors) sum += count(tensor);
  });
  return sum;
}

v1::Network ParseNetwork(const nlohmann::json& json) {
  v1::Network network;
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &network);
  if (!status.ok()) throw std::invalid_argument(status.ToString());
  return network;
}

// The layers of version 0.1.0. Throws as IntegerAt does.
v1::Network NetworkOfBlocks(const nlohmann::json& json) {
  BlockNetwork blocks;
  for (const nlohmann::json& from : json.at(kBlocksField)) {
    ConvBlock block;
    block.filters = IntegerAt(from, "filters");
    block.pool = IntegerAt(from, "pool");
    block.squeeze = IntegerOr(from, "squeeze", block.squeeze);
    block.skip = IntegerOr(from, "skip", block.skip);
    blocks.blocks.push_back(block);
  }
  blocks.average_features = json.value("average_features", false);
  for (const nlohmann::json& units : json.at("dense_layers")) {
    blocks.dense_layers.push_back(IntegerOf(units, "dense_layers"));
  }
  json.at("batch_norm_epsilon").get_to(blocks.batch_norm_epsilon);
  return blocks.ToNetwork(json.at("name").get<std::string>());
}

}  // namespace

absl::Status Architecture::Validate() const {
  const NetworkPlan plan = PlanOf(*this);
  if (plan.problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(plan.problems, "; "));
}

int64_t Architecture::TrainableParameterCount() const {
  return SumOverTensors(
      *this, [](const TensorSpec& tensor) { return tensor.trainable ? tensor.size() : 0; });
}

int64_t Architecture::ParameterCount() const {
  return SumOverTensors(*this, [](const TensorSpec& tensor) { return tensor.size(); });
}

int64_t Architecture::MultiplyAdds() const {
  int64_t count = 0;
  for (const LayerPlan& layer : PlanOf(*this).layers) count += layer.multiply_adds;
  return count;
}

std::string Architecture::ToJson() const {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string layers;
  const auto status = google::protobuf::util::MessageToJsonString(network, &layers, options);
  if (!status.ok()) layers = "null";
  return nlohmann::ordered_json(
             {{"input",
               {{"channels", input.channels}, {"height", input.height}, {"width", input.width}}},
              {"classes", classes},
              {"dropout", dropout},
              {kNetworkField, nlohmann::ordered_json::parse(layers)}})
      .dump();
}

absl::StatusOr<Architecture> Architecture::FromJson(absl::string_view text) {
  Architecture architecture;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    const nlohmann::json& input = json.at("input");
    architecture.input = {IntegerAt(input, "channels"), IntegerAt(input, "height"),
                          IntegerAt(input, "width")};
    architecture.classes = IntegerAt(json, "classes");
    json.at("dropout").get_to(architecture.dropout);
    architecture.network =
        json.contains(kBlocksField) ? NetworkOfBlocks(json) : ParseNetwork(json.at(kNetworkField));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("the architecture cannot be read: ", error.what()));
  }
  if (absl::Status status = architecture.Validate(); !status.ok()) return status;
  return architecture;
}

}  // namespace atelier::models
