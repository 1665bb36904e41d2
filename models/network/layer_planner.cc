#include "models/network/layer_planner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atelier::models {
namespace {

// Of one layer: what is more cannot be computed, and its sizes could overflow.
constexpr int64_t kMaxOutput = int64_t{1} << 31;
constexpr int64_t kMaxParameters = int64_t{1} << 28;
// Where receptive fields end to grow: beyond every image.
constexpr int64_t kMaxStep = int64_t{1} << 20;

int64_t CountLayers(const google::protobuf::RepeatedPtrField<v1::Layer>& layers) {
  int64_t count = layers.size();
  for (const v1::Layer& layer : layers) {
    if (layer.has_residual()) count += CountLayers(layer.residual().layers());
  }
  return count;
}

}  // namespace

std::string LayerPlanner::ShapeText(const Position& at) {
  const ImageShape& shape = at.shape;
  if (!at.image) return absl::StrCat(shape.channels, " numbers");
  return absl::StrCat(shape.channels, "x", shape.height, "x", shape.width);
}

LayerPlanner::LayerPlanner(const Architecture& architecture) : architecture_(architecture) {
  at_.shape = architecture.input;
}

std::vector<LayerPlan> LayerPlanner::Plan() {
  const Layers& layers = architecture_.network.layers();
  if (const int64_t count = CountLayers(layers); count > kMaxLayers) {
    problems_.push_back(
        absl::StrCat("the network has ", count, " layers; at most ", kMaxLayers, " are possible"));
    return {};
  }
  std::vector<LayerPlan> plans = PlanLayers(layers, "layer ");
  if (!known_) return plans;
  LayerPlan output;
  output.layer.mutable_dense()->set_units(static_cast<int32_t>(architecture_.classes));
  output.layer.mutable_dense()->set_bias(true);
  output.name = kOutputLayer;
  output.place = "the last layer";
  output.input = at_.shape;
  LayerKindOf(output.kind()).plan(*this, output);
  output.output = at_.shape;
  output.gives_image = false;
  output.receptive_field = at_.field;
  plans.push_back(std::move(output));
  int64_t parameters = 0;
  ForEachLayer(plans, [&parameters](const LayerPlan& plan) {
    for (const TensorSpec& tensor : plan.tensors) parameters += tensor.size();
  });
  if (parameters > kMaxParameters) {
    problems_.push_back(absl::StrCat("the number of parameters is ", parameters,
                                     "; it must be 1 to ", kMaxParameters));
  }
  return plans;
}

std::vector<LayerPlan> LayerPlanner::PlanLayers(const Layers& layers, const std::string& prefix) {
  std::vector<LayerPlan> plans;
  for (int i = 0; i < layers.size(); ++i) {
    plans.push_back(PlanLayer(layers[i], absl::StrCat(prefix, i + 1)));
  }
  return plans;
}

LayerPlan LayerPlanner::PlanLayer(const v1::Layer& layer, const std::string& place) {
  const LayerKind& kind = LayerKindOf(layer.kind_case());
  LayerPlan plan;
  plan.layer = layer;
  plan.name = absl::StrCat(kind.name, ++numbers_[kind.name]);
  plan.place = place;
  plan.input = at_.shape;
  kind.plan(*this, plan);
  plan.output = at_.shape;
  plan.gives_image = at_.image;
  plan.receptive_field = at_.field;
  previous_ = Title(plan);
  return plan;
}

bool LayerPlanner::NeedsImage(const LayerPlan& plan) {
  if (!known_) return false;
  if (at_.image) return true;
  Wrong(plan, absl::StrCat("needs an image, but ", previous_, " gives ", ShapeText(at_)));
  Lose();
  return false;
}

bool LayerPlanner::InRange(const LayerPlan& plan, absl::string_view what, int64_t value,
                           int64_t low, int64_t high) {
  if (value >= low && value <= high) return true;
  Wrong(plan, absl::StrCat(what, " is ", value, "; it must be ", low, " to ", high));
  return false;
}

bool LayerPlanner::PositiveShare(const LayerPlan& plan, absl::string_view what, double value) {
  if (value > 0 && value <= 1) return true;
  Wrong(plan, absl::StrCat(what, " is ", value, "; it must be above 0 and at most 1"));
  return false;
}

void LayerPlanner::Wrong(const LayerPlan& plan, absl::string_view what) {
  problems_.push_back(absl::StrCat(Title(plan), ": ", what));
}

bool LayerPlanner::Slide(LayerPlan& plan, v1::Padding padding, int64_t channels) {
  Window& window = plan.window;
  const int64_t height = (window.height - 1) * window.dilation + 1;
  const int64_t width = (window.width - 1) * window.dilation + 1;
  if (!v1::Padding_IsValid(padding)) {
    Wrong(plan, "names no padding that is known here");
    Lose();
    return false;
  }
  if (padding == v1::PADDING_SAME) {
    window.top = (height - 1) / 2;
    window.bottom = height / 2;
    window.left = (width - 1) / 2;
    window.right = width / 2;
  }
  const ImageShape& in = at_.shape;
  const int64_t rows = in.height + window.top + window.bottom - height;
  const int64_t columns = in.width + window.left + window.right - width;
  if (rows < 0 || columns < 0) {
    Wrong(plan, absl::StrCat("its window is ", height, "x", width, " but only ", in.height, "x",
                             in.width, " pixels are left of the ", architecture_.input.height, "x",
                             architecture_.input.width,
                             " image; use larger images or a network with less pooling"));
    Lose();
    return false;
  }
  at_.shape = {channels, rows / window.row_stride + 1, columns / window.column_stride + 1};
  at_.field.height += (height - 1) * at_.row_step;
  at_.field.width += (width - 1) * at_.column_step;
  at_.row_step = std::min(at_.row_step * window.row_stride, kMaxStep);
  at_.column_step = std::min(at_.column_step * window.column_stride, kMaxStep);
  if (at_.shape.size() <= kMaxOutput) return true;
  Wrong(plan, absl::StrCat("its output of ", ShapeText(at_), " has ", at_.shape.size(),
                           " numbers; at most ", kMaxOutput, " are possible"));
  Lose();
  return false;
}

void LayerPlanner::Flatten(int64_t numbers) {
  at_.shape = {numbers, 1, 1};
  at_.image = false;
  SeeAll();
}

void LayerPlanner::SeeAll() { at_.field = {architecture_.input.height, architecture_.input.width}; }

void LayerPlanner::PlanBody(const Layers& layers, LayerPlan& plan) {
  if (depth_ >= kMaxDepth) {
    Wrong(plan, absl::StrCat("is inside of ", depth_, " residual blocks; at most ", kMaxDepth,
                             " can be in each other"));
    return Lose();
  }
  ++depth_;
  plan.body = PlanLayers(layers, absl::StrCat(plan.place, "."));
  --depth_;
}

}  // namespace atelier::models
