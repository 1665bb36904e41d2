#include "models/network/architecture.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace atelier::models {
namespace {

// Bounds that no image classifier of this kind comes near, so that sizes cannot overflow.
constexpr int64_t kMaxChannels = 1024;
constexpr int64_t kMaxEdge = 4096;
constexpr int64_t kMaxClasses = 256;
constexpr int64_t kMaxWidth = 65536;
constexpr size_t kMaxLayers = 64;
constexpr int64_t kMaxParameters = int64_t{1} << 28;
constexpr int64_t kMaxKernel = 11;
constexpr int64_t kMaxStride = 8;

absl::Status OutOfRange(absl::string_view what, int64_t value, int64_t low, int64_t high) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " is ", value, "; it must be ", low, " to ", high));
}

bool Within(int64_t value, int64_t low, int64_t high) { return low <= value && value <= high; }

// The convolution of a block called `name` on so many channels.
absl::Status ValidateConvolution(const ConvBlock& block, const std::string& name,
                                 int64_t channels) {
  if (!Within(block.filters, 1, kMaxWidth)) {
    return OutOfRange(absl::StrCat("the number of filters of ", name), block.filters, 1, kMaxWidth);
  }
  if (!Within(block.kernel_height, 1, kMaxKernel)) {
    return OutOfRange(absl::StrCat("the kernel height of ", name), block.kernel_height, 1,
                      kMaxKernel);
  }
  if (!Within(block.kernel_width, 1, kMaxKernel)) {
    return OutOfRange(absl::StrCat("the kernel width of ", name), block.kernel_width, 1,
                      kMaxKernel);
  }
  if (!Within(block.stride, 1, kMaxStride)) {
    return OutOfRange(absl::StrCat("the stride of ", name), block.stride, 1, kMaxStride);
  }
  if (block.groups >= 1 && channels % block.groups == 0 && block.filters % block.groups == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the groups of ", name, " are ", block.groups, "; they must divide its ",
                   channels, " input channels and its ", block.filters, " filters"));
}

// The pooling of a block called `name`, of an image that its convolution leaves so large.
absl::Status ValidatePooling(const ConvBlock& block, const std::string& name,
                             const ImageShape& convolved, const ImageShape& image) {
  if (!Within(block.pool, 0, kMaxEdge)) {
    return OutOfRange(absl::StrCat("the pooling of ", name), block.pool, 0, kMaxEdge);
  }
  if (std::min(convolved.height, convolved.width) >= block.pool) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " pools ", block.pool, "x", block.pool, " but only ", convolved.height,
                   "x", convolved.width, " pixels are left of the ", image.height, "x", image.width,
                   " image; use larger images or a network with less pooling"));
}

// What a block does beyond the usual; `shapes` are those of the outputs so far, its own included.
absl::Status ValidateExtras(const std::vector<ConvBlock>& blocks,
                            const std::vector<ImageShape>& shapes) {
  const size_t i = shapes.size() - 1;
  const ConvBlock& block = blocks[i];
  const std::string name = absl::StrCat("conv block ", i + 1);
  if (!Within(block.squeeze, 0, block.filters)) {
    return OutOfRange(absl::StrCat("the squeeze of ", name), block.squeeze, 0, block.filters);
  }
  const auto before = static_cast<int64_t>(i);
  if (!Within(block.skip, 0, before)) {
    return OutOfRange(absl::StrCat("the skip of ", name), block.skip, 0, before);
  }
  const ImageShape& source = shapes[i - static_cast<size_t>(block.skip)];
  if (source == shapes[i]) return absl::OkStatus();
  const auto text = [](const ImageShape& s) {
    return absl::StrCat(s.channels, "x", s.height, "x", s.width);
  };
  return absl::InvalidArgumentError(
      absl::StrCat(name, " gives ", text(shapes[i]), ", the block ", block.skip, " before it ",
                   text(source), "; they can be added only if they are of one shape"));
}

absl::Status ValidateConvBlocks(const Architecture& network) {
  if (network.conv_blocks.size() > kMaxLayers) {
    return OutOfRange("the number of conv blocks", static_cast<int64_t>(network.conv_blocks.size()),
                      0, kMaxLayers);
  }
  ImageShape shape = network.input;
  std::vector<ImageShape> shapes;
  for (size_t i = 0; i < network.conv_blocks.size(); ++i) {
    const ConvBlock& block = network.conv_blocks[i];
    const std::string name = absl::StrCat("conv block ", i + 1);
    if (absl::Status status = ValidateConvolution(block, name, shape.channels); !status.ok()) {
      return status;
    }
    if (absl::Status status =
            ValidatePooling(block, name, block.ConvolvedShape(shape), network.input);
        !status.ok()) {
      return status;
    }
    shape = block.OutputShape(shape);
    shapes.push_back(shape);
    if (absl::Status status = ValidateExtras(network.conv_blocks, shapes); !status.ok()) {
      return status;
    }
  }
  if (network.average_features && shapes.empty()) {
    return absl::InvalidArgumentError(
        "average_features is set; it needs a network with conv blocks");
  }
  return absl::OkStatus();
}

// Reads what ToJson wrote of a block. Throws nlohmann's exceptions.
ConvBlock ConvBlockOf(const nlohmann::json& json) {
  ConvBlock block;
  json.at("filters").get_to(block.filters);
  json.at("pool").get_to(block.pool);
  block.squeeze = json.value("squeeze", block.squeeze);
  block.skip = json.value("skip", block.skip);
  block.kernel_height = json.value("kernel_height", block.kernel_height);
  block.kernel_width = json.value("kernel_width", block.kernel_width);
  block.stride = json.value("stride", block.stride);
  block.groups = json.value("groups", block.groups);
  return block;
}

absl::Status ValidateDenseLayers(const Architecture& network) {
  if (network.dense_layers.size() > kMaxLayers) {
    return OutOfRange("the number of dense layers",
                      static_cast<int64_t>(network.dense_layers.size()), 0, kMaxLayers);
  }
  for (int64_t width : network.dense_layers) {
    if (!Within(width, 1, kMaxWidth)) {
      return OutOfRange("the width of a dense layer", width, 1, kMaxWidth);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Padding ConvBlock::padding() const {
  return {(kernel_height - 1) / 2, kernel_height / 2, (kernel_width - 1) / 2, kernel_width / 2};
}

ImageShape ConvBlock::ConvolvedShape(const ImageShape& block_input) const {
  return {filters, (block_input.height + stride - 1) / stride,
          (block_input.width + stride - 1) / stride};
}

ImageShape ConvBlock::OutputShape(const ImageShape& block_input) const {
  ImageShape shape = ConvolvedShape(block_input);
  shape.height /= std::max<int64_t>(pool, 1);
  shape.width /= std::max<int64_t>(pool, 1);
  return shape;
}

absl::Status Architecture::Validate() const {
  if (!Within(input.channels, 1, kMaxChannels)) {
    return OutOfRange("the number of input channels", input.channels, 1, kMaxChannels);
  }
  if (!Within(input.height, 1, kMaxEdge)) {
    return OutOfRange("the input height", input.height, 1, kMaxEdge);
  }
  if (!Within(input.width, 1, kMaxEdge)) {
    return OutOfRange("the input width", input.width, 1, kMaxEdge);
  }
  if (!Within(classes, 2, kMaxClasses)) {
    return OutOfRange("the number of classes", classes, 2, kMaxClasses);
  }
  if (!(dropout >= 0 && dropout < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dropout is ", dropout, "; it must be at least 0 and below 1"));
  }
  if (!(batch_norm_epsilon > 0 && batch_norm_epsilon <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("batch_norm_epsilon is ", batch_norm_epsilon,
                                                   "; it must be above 0 and at most 1"));
  }
  if (absl::Status status = ValidateConvBlocks(*this); !status.ok()) return status;
  if (absl::Status status = ValidateDenseLayers(*this); !status.ok()) return status;
  if (ParameterCount() > kMaxParameters) {
    return OutOfRange("the number of parameters", ParameterCount(), 1, kMaxParameters);
  }
  return absl::OkStatus();
}

ImageShape Architecture::FeatureShape() const {
  ImageShape shape = input;
  for (const ConvBlock& block : conv_blocks) shape = block.OutputShape(shape);
  if (average_features) shape.height = shape.width = 1;
  return shape;
}

int64_t Architecture::TrainableParameterCount() const {
  int64_t count = 0;
  int64_t channels = input.channels;
  for (const ConvBlock& block : conv_blocks) {
    // Kernel and bias of the convolution, scale and shift of the batch norm.
    const int64_t kernel = block.kernel_height * block.kernel_width;
    count += block.filters * (channels / block.groups * kernel + 3);
    if (block.squeeze > 0) {
      const int64_t units = block.squeeze_units();
      count += 2 * block.filters * units + units + block.filters;
    }
    channels = block.filters;
  }
  int64_t width = FeatureShape().size();
  for (int64_t units : dense_layers) {
    count += units * (width + 1);
    width = units;
  }
  return count + classes * (width + 1);
}

int64_t Architecture::ParameterCount() const {
  int64_t count = TrainableParameterCount();
  for (const ConvBlock& block : conv_blocks) count += 2 * block.filters;
  return count;
}

std::string Architecture::ToJson() const {
  nlohmann::ordered_json blocks = nlohmann::ordered_json::array();
  for (const ConvBlock& block : conv_blocks) {
    blocks.push_back({{"filters", block.filters}, {"pool", block.pool}});
    // As it always was for networks without.
    if (block.squeeze > 0) blocks.back()["squeeze"] = block.squeeze;
    if (block.skip > 0) blocks.back()["skip"] = block.skip;
    if (block.kernel_height != 3) blocks.back()["kernel_height"] = block.kernel_height;
    if (block.kernel_width != 3) blocks.back()["kernel_width"] = block.kernel_width;
    if (block.stride != 1) blocks.back()["stride"] = block.stride;
    if (block.groups != 1) blocks.back()["groups"] = block.groups;
  }
  nlohmann::ordered_json json = {
      {"name", name},
      {"input", {{"channels", input.channels}, {"height", input.height}, {"width", input.width}}},
      {"classes", classes},
      {"conv_blocks", blocks},
      {"dense_layers", dense_layers},
      {"dropout", dropout},
      {"batch_norm_epsilon", batch_norm_epsilon}};
  if (average_features) json["average_features"] = true;
  return json.dump();
}

absl::StatusOr<Architecture> Architecture::FromJson(absl::string_view text) {
  Architecture network;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    json.at("name").get_to(network.name);
    const nlohmann::json& input = json.at("input");
    network.input = {input.at("channels").get<int64_t>(), input.at("height").get<int64_t>(),
                     input.at("width").get<int64_t>()};
    json.at("classes").get_to(network.classes);
    for (const nlohmann::json& block : json.at("conv_blocks")) {
      network.conv_blocks.push_back(ConvBlockOf(block));
    }
    network.average_features = json.value("average_features", false);
    json.at("dense_layers").get_to(network.dense_layers);
    json.at("dropout").get_to(network.dropout);
    json.at("batch_norm_epsilon").get_to(network.batch_norm_epsilon);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("the architecture cannot be read: ", error.what()));
  }
  if (absl::Status status = network.Validate(); !status.ok()) return status;
  return network;
}

}  // namespace atelier::models
