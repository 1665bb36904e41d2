// What each kind of layer checks, and what it does to shapes.
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/network/layer_planner.h"

namespace atelier::models {
namespace {

using Start = TensorSpec::Start;

constexpr int64_t kMaxStride = 8;

// Fills in an optional field.
#define ATELIER_DEFAULT(message, field, value) \
  if (!(message).has_##field()) (message).set_##field(value)

}  // namespace

void LayerPlanner::PlanConvolution(LayerPlan& plan) {
  v1::Convolution& convolution = *plan.layer.mutable_convolution();
  const bool oblong = convolution.has_kernel_width();
  ATELIER_DEFAULT(convolution, kernel, 3);
  ATELIER_DEFAULT(convolution, kernel_width, convolution.kernel());
  ATELIER_DEFAULT(convolution, stride, 1);
  ATELIER_DEFAULT(convolution, dilation, 1);
  ATELIER_DEFAULT(convolution, groups, 1);
  ATELIER_DEFAULT(convolution, bias, true);
  if (convolution.padding() == v1::PADDING_UNSPECIFIED) convolution.set_padding(v1::PADDING_SAME);
  const int64_t filters = convolution.filters();
  const int64_t groups = convolution.groups();
  bool right = InRange(plan, "filters", filters, 1, kMaxLayerWidth);
  right &= InRange(plan, "kernel", convolution.kernel(), 1, kMaxKernel);
  if (oblong) right &= InRange(plan, "kernel_width", convolution.kernel_width(), 1, kMaxKernel);
  right &= InRange(plan, "stride", convolution.stride(), 1, kMaxStride);
  right &= InRange(plan, "dilation", convolution.dilation(), 1, kMaxStride);
  right &= InRange(plan, "groups", groups, 1, kMaxLayerWidth);
  if (!right) return Lose();
  if (!NeedsImage(plan)) return;
  const int64_t channels = at_.shape.channels;
  if (channels % groups != 0 || filters % groups != 0) {
    Wrong(plan, absl::StrCat("groups is ", groups, "; it must divide the ", channels,
                             " input channels and the ", filters, " filters"));
    return Lose();
  }
  plan.window.height = convolution.kernel();
  plan.window.width = convolution.kernel_width();
  plan.window.row_stride = plan.window.column_stride = convolution.stride();
  plan.window.dilation = convolution.dilation();
  if (!Slide(plan, convolution.padding(), filters)) return;
  plan.tensors.push_back({plan.name + ".weight",
                          {filters, channels / groups, plan.window.height, plan.window.width},
                          true,
                          Start::kGlorotUniform,
                          groups,
                          {}});
  if (convolution.bias()) plan.tensors.push_back({plan.name + ".bias", {filters}});
  plan.multiply_adds =
      at_.shape.size() * (channels / groups) * plan.window.height * plan.window.width;
}

void LayerPlanner::PlanBatchNorm(LayerPlan& plan) {
  v1::BatchNorm& norm = *plan.layer.mutable_batch_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-3);
  PositiveShare(plan, "epsilon", norm.epsilon());
  if (norm.has_momentum()) PositiveShare(plan, "momentum", norm.momentum());
  AddScaleAndShift(plan);
  TensorSpec statistic{plan.name + ".running_mean", {at_.shape.channels}, false};
  if (norm.has_momentum()) statistic.momentum = norm.momentum();
  plan.tensors.push_back(statistic);
  statistic.name = plan.name + ".running_var";
  statistic.start = Start::kOnes;
  plan.tensors.push_back(statistic);
}

void LayerPlanner::PlanGroupNorm(LayerPlan& plan) {
  v1::GroupNorm& norm = *plan.layer.mutable_group_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-5);
  PositiveShare(plan, "epsilon", norm.epsilon());
  if (!InRange(plan, "groups", norm.groups(), 1, kMaxLayerWidth) || !known_) return;
  if (at_.shape.channels % norm.groups() != 0) {
    Wrong(plan, absl::StrCat("groups is ", norm.groups(), "; it must divide the ",
                             at_.shape.channels, " channels"));
  }
  AddScaleAndShift(plan);
  at_.field = {architecture_.input.height, architecture_.input.width};
}

void LayerPlanner::PlanLayerNorm(LayerPlan& plan) {
  v1::LayerNorm& norm = *plan.layer.mutable_layer_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-6);
  PositiveShare(plan, "epsilon", norm.epsilon());
  AddScaleAndShift(plan);
}

void LayerPlanner::PlanActivation(LayerPlan& plan) {
  const v1::Activation activation = plan.layer.activation();
  if (activation != v1::ACTIVATION_UNSPECIFIED && v1::Activation_IsValid(activation)) return;
  Wrong(plan, "names no activation that is known here");
}

void LayerPlanner::PlanPooling(LayerPlan& plan) {
  v1::Pooling& pooling = plan.layer.has_max_pooling() ? *plan.layer.mutable_max_pooling()
                                                      : *plan.layer.mutable_average_pooling();
  const bool oblong = pooling.has_size_width();
  ATELIER_DEFAULT(pooling, size, 2);
  ATELIER_DEFAULT(pooling, size_width, pooling.size());
  if (pooling.padding() == v1::PADDING_UNSPECIFIED) pooling.set_padding(v1::PADDING_VALID);
  bool right = InRange(plan, "size", pooling.size(), 1, kMaxPooling);
  if (oblong) right &= InRange(plan, "size_width", pooling.size_width(), 1, kMaxPooling);
  if (pooling.has_stride()) right &= InRange(plan, "stride", pooling.stride(), 1, kMaxPooling);
  if (!right) return Lose();
  if (pooling.padding() == v1::PADDING_SAME &&
      (pooling.size() % 2 == 0 || pooling.size_width() % 2 == 0)) {
    Wrong(plan, absl::StrCat("its window of ", pooling.size(), "x", pooling.size_width(),
                             " has an even size; PADDING_SAME needs odd ones"));
    return Lose();
  }
  if (!NeedsImage(plan)) return;
  plan.window.height = pooling.size();
  plan.window.width = pooling.size_width();
  plan.window.row_stride = pooling.has_stride() ? pooling.stride() : pooling.size();
  plan.window.column_stride = pooling.has_stride() ? pooling.stride() : pooling.size_width();
  Slide(plan, pooling.padding(), at_.shape.channels);
}

void LayerPlanner::PlanGlobalPooling(LayerPlan& plan) {
  const v1::GlobalPooling pooling = plan.layer.global_pooling();
  if (pooling == v1::GLOBAL_POOLING_UNSPECIFIED || !v1::GlobalPooling_IsValid(pooling)) {
    Wrong(plan, "names no global pooling that is known here");
  }
  if (NeedsImage(plan)) Flatten(at_.shape.channels);
}

void LayerPlanner::PlanDropout(LayerPlan& plan) {
  const bool spatial = plan.layer.has_spatial_dropout();
  v1::Dropout& dropout =
      spatial ? *plan.layer.mutable_spatial_dropout() : *plan.layer.mutable_dropout();
  if (spatial) NeedsImage(plan);
  if (!dropout.has_rate()) return dropout.set_rate(architecture_.dropout);
  if (dropout.rate() >= 0 && dropout.rate() < 1) return;
  Wrong(plan, absl::StrCat("rate is ", dropout.rate(), "; it must be at least 0 and below 1"));
}

void LayerPlanner::PlanDense(LayerPlan& plan) {
  v1::Dense& dense = *plan.layer.mutable_dense();
  ATELIER_DEFAULT(dense, bias, true);
  if (!InRange(plan, "units", dense.units(), 1, kMaxLayerWidth)) return Lose();
  AddDense(plan.name, at_.shape.size(), dense.units(), dense.bias(), plan);
  Flatten(dense.units());
}

void LayerPlanner::PlanResidual(LayerPlan& plan) {
  const Layers layers = plan.layer.residual().layers();
  plan.layer.mutable_residual()->clear_layers();
  if (layers.empty()) Wrong(plan, "has no layers; it must have at least one");
  if (depth_ >= kMaxDepth) {
    Wrong(plan, absl::StrCat("is inside of ", depth_, " residual blocks; at most ", kMaxDepth,
                             " can be in each other"));
    return Lose();
  }
  const Position before = at_;
  ++depth_;
  plan.body = PlanLayers(layers, absl::StrCat(plan.place, "."));
  --depth_;
  for (const LayerPlan& inner : plan.body) plan.multiply_adds += inner.multiply_adds;
  if (!known_ || (at_.shape == before.shape && at_.image == before.image)) return;
  PlanProjection(before, plan);
}

void LayerPlanner::PlanProjection(const Position& before, LayerPlan& plan) {
  const auto covers = [&](int64_t stride) {
    return (before.shape.height + stride - 1) / stride == at_.shape.height &&
           (before.shape.width + stride - 1) / stride == at_.shape.width;
  };
  int64_t stride = 1;
  while (stride <= kMaxStride && !covers(stride)) ++stride;
  if (stride > kMaxStride || !at_.image || !before.image) {
    Wrong(plan, absl::StrCat("gets ", ShapeText(before), " and its layers give ", ShapeText(at_),
                             "; they can be added only if the sizes are equal or differ by a "
                             "stride of 2 to 8 throughout"));
    return Lose();
  }
  plan.window.row_stride = plan.window.column_stride = stride;
  const int64_t filters = at_.shape.channels;
  plan.tensors.push_back({absl::StrCat("projection", plan.name.substr(8), ".weight"),
                          {filters, before.shape.channels, 1, 1},
                          true,
                          Start::kGlorotUniform});
  plan.multiply_adds += at_.shape.size() * before.shape.channels;
}

void LayerPlanner::PlanSqueezeExcitation(LayerPlan& plan) {
  const int64_t reduction = plan.layer.squeeze_excitation().reduction();
  if (!InRange(plan, "reduction", reduction, 1, kMaxLayerWidth) || !NeedsImage(plan)) return;
  const int64_t channels = at_.shape.channels;
  if (!InRange(plan, "reduction", reduction, 1, channels)) return;
  const std::string number = absl::StrCat(numbers_["squeeze"]);
  const int64_t units = channels / reduction;
  AddDense(absl::StrCat("squeeze", number), channels, units, true, plan);
  AddDense(absl::StrCat("excite", number), units, channels, true, plan);
  at_.field = {architecture_.input.height, architecture_.input.width};
}

void LayerPlanner::PlanSpatialAttention(LayerPlan& plan) {
  v1::SpatialAttention& attention = *plan.layer.mutable_spatial_attention();
  ATELIER_DEFAULT(attention, kernel, 7);
  const int64_t kernel = attention.kernel();
  if (!InRange(plan, "kernel", kernel, 1, kMaxKernel)) return;
  if (kernel % 2 == 0) Wrong(plan, absl::StrCat("kernel is ", kernel, "; it must be odd"));
  if (!NeedsImage(plan)) return;
  plan.tensors.push_back(
      {plan.name + ".weight", {1, 2, kernel, kernel}, true, Start::kGlorotUniform});
  Window& window = plan.window;
  window.height = window.width = kernel;
  window.top = window.bottom = window.left = window.right = kernel / 2;
  plan.multiply_adds = at_.shape.height * at_.shape.width * 2 * kernel * kernel;
  at_.field.height += (kernel - 1) * at_.row_step;
  at_.field.width += (kernel - 1) * at_.column_step;
}

void LayerPlanner::PlanFlatten(LayerPlan& /*plan*/) { Flatten(at_.shape.size()); }

void LayerPlanner::PlanUnknown(LayerPlan& plan) {
  Wrong(plan, "is of no kind that is known here");
  Lose();
}

#undef ATELIER_DEFAULT

}  // namespace atelier::models
