// The kinds of layers: what each checks, does to shapes, and is called by people.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "models/network/layer_planner.h"

namespace atelier::models {
namespace {

using Start = TensorSpec::Start;

constexpr int64_t kMaxStride = 8;

// Fills in an optional field.
#define ATELIER_DEFAULT(message, field, value) \
  if (!(message).has_##field()) (message).set_##field(value)

void AddScaleAndShift(int64_t channels, LayerPlan& plan) {
  plan.tensors.push_back({plan.name + ".weight", {channels}, true, Start::kOnes});
  plan.tensors.push_back({plan.name + ".bias", {channels}});
}

void AddDense(const std::string& name, int64_t in, int64_t out, bool bias, LayerPlan& plan) {
  plan.tensors.push_back({name + ".weight", {out, in}, true, Start::kGlorotUniform});
  if (bias) plan.tensors.push_back({name + ".bias", {out}});
  plan.multiply_adds += in * out;
}

void PlanConvolution(LayerPlanner& planner, LayerPlan& plan) {
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
  bool right = planner.InRange(plan, "filters", filters, 1, kMaxLayerWidth);
  right &= planner.InRange(plan, "kernel", convolution.kernel(), 1, kMaxKernel);
  if (oblong)
    right &= planner.InRange(plan, "kernel_width", convolution.kernel_width(), 1, kMaxKernel);
  right &= planner.InRange(plan, "stride", convolution.stride(), 1, kMaxStride);
  right &= planner.InRange(plan, "dilation", convolution.dilation(), 1, kMaxStride);
  right &= planner.InRange(plan, "groups", groups, 1, kMaxLayerWidth);
  if (!right) return planner.Lose();
  if (!planner.NeedsImage(plan)) return;
  const int64_t channels = planner.at().shape.channels;
  if (channels % groups != 0 || filters % groups != 0) {
    planner.Wrong(plan, absl::StrCat("groups is ", groups, "; it must divide the ", channels,
                                     " input channels and the ", filters, " filters"));
    return planner.Lose();
  }
  plan.window.height = convolution.kernel();
  plan.window.width = convolution.kernel_width();
  plan.window.row_stride = plan.window.column_stride = convolution.stride();
  plan.window.dilation = convolution.dilation();
  if (!planner.Slide(plan, convolution.padding(), filters)) return;
  plan.tensors.push_back({plan.name + ".weight",
                          {filters, channels / groups, plan.window.height, plan.window.width},
                          true,
                          Start::kGlorotUniform,
                          groups,
                          {}});
  if (convolution.bias()) plan.tensors.push_back({plan.name + ".bias", {filters}});
  plan.multiply_adds =
      planner.at().shape.size() * (channels / groups) * plan.window.height * plan.window.width;
}

void PlanBatchNorm(LayerPlanner& planner, LayerPlan& plan) {
  v1::BatchNorm& norm = *plan.layer.mutable_batch_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-3);
  planner.PositiveShare(plan, "epsilon", norm.epsilon());
  if (norm.has_momentum()) planner.PositiveShare(plan, "momentum", norm.momentum());
  AddScaleAndShift(planner.at().shape.channels, plan);
  TensorSpec statistic{plan.name + ".running_mean", {planner.at().shape.channels}, false};
  if (norm.has_momentum()) statistic.momentum = norm.momentum();
  plan.tensors.push_back(statistic);
  statistic.name = plan.name + ".running_var";
  statistic.start = Start::kOnes;
  plan.tensors.push_back(statistic);
}

void PlanGroupNorm(LayerPlanner& planner, LayerPlan& plan) {
  v1::GroupNorm& norm = *plan.layer.mutable_group_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-5);
  planner.PositiveShare(plan, "epsilon", norm.epsilon());
  if (!planner.InRange(plan, "groups", norm.groups(), 1, kMaxLayerWidth) || !planner.known())
    return;
  if (planner.at().shape.channels % norm.groups() != 0) {
    planner.Wrong(plan, absl::StrCat("groups is ", norm.groups(), "; it must divide the ",
                                     planner.at().shape.channels, " channels"));
  }
  AddScaleAndShift(planner.at().shape.channels, plan);
  planner.SeeAll();
}

void PlanLayerNorm(LayerPlanner& planner, LayerPlan& plan) {
  v1::LayerNorm& norm = *plan.layer.mutable_layer_norm();
  ATELIER_DEFAULT(norm, epsilon, 1e-6);
  planner.PositiveShare(plan, "epsilon", norm.epsilon());
  AddScaleAndShift(planner.at().shape.channels, plan);
}

void PlanActivation(LayerPlanner& planner, LayerPlan& plan) {
  const v1::Activation activation = plan.layer.activation();
  if (activation != v1::ACTIVATION_UNSPECIFIED && v1::Activation_IsValid(activation)) return;
  planner.Wrong(plan, "names no activation that is known here");
}

void PlanPooling(LayerPlanner& planner, LayerPlan& plan) {
  v1::Pooling& pooling = plan.layer.has_max_pooling() ? *plan.layer.mutable_max_pooling()
                                                      : *plan.layer.mutable_average_pooling();
  const bool oblong = pooling.has_size_width();
  ATELIER_DEFAULT(pooling, size, 2);
  ATELIER_DEFAULT(pooling, size_width, pooling.size());
  if (pooling.padding() == v1::PADDING_UNSPECIFIED) pooling.set_padding(v1::PADDING_VALID);
  bool right = planner.InRange(plan, "size", pooling.size(), 1, kMaxPooling);
  if (oblong) right &= planner.InRange(plan, "size_width", pooling.size_width(), 1, kMaxPooling);
  if (pooling.has_stride())
    right &= planner.InRange(plan, "stride", pooling.stride(), 1, kMaxPooling);
  if (!right) return planner.Lose();
  if (pooling.padding() == v1::PADDING_SAME &&
      (pooling.size() % 2 == 0 || pooling.size_width() % 2 == 0)) {
    planner.Wrong(plan, absl::StrCat("its window of ", pooling.size(), "x", pooling.size_width(),
                                     " has an even size; PADDING_SAME needs odd ones"));
    return planner.Lose();
  }
  if (!planner.NeedsImage(plan)) return;
  plan.window.height = pooling.size();
  plan.window.width = pooling.size_width();
  plan.window.row_stride = pooling.has_stride() ? pooling.stride() : pooling.size();
  plan.window.column_stride = pooling.has_stride() ? pooling.stride() : pooling.size_width();
  planner.Slide(plan, pooling.padding(), planner.at().shape.channels);
}

void PlanGlobalPooling(LayerPlanner& planner, LayerPlan& plan) {
  const v1::GlobalPooling pooling = plan.layer.global_pooling();
  if (pooling == v1::GLOBAL_POOLING_UNSPECIFIED || !v1::GlobalPooling_IsValid(pooling)) {
    planner.Wrong(plan, "names no global pooling that is known here");
  }
  if (planner.NeedsImage(plan)) planner.Flatten(planner.at().shape.channels);
}

void PlanDropout(LayerPlanner& planner, LayerPlan& plan) {
  const bool spatial = plan.layer.has_spatial_dropout();
  v1::Dropout& dropout =
      spatial ? *plan.layer.mutable_spatial_dropout() : *plan.layer.mutable_dropout();
  if (spatial) planner.NeedsImage(plan);
  if (!dropout.has_rate()) return dropout.set_rate(planner.dropout());
  if (dropout.rate() >= 0 && dropout.rate() < 1) return;
  planner.Wrong(plan,
                absl::StrCat("rate is ", dropout.rate(), "; it must be at least 0 and below 1"));
}

void PlanDense(LayerPlanner& planner, LayerPlan& plan) {
  v1::Dense& dense = *plan.layer.mutable_dense();
  ATELIER_DEFAULT(dense, bias, true);
  if (!planner.InRange(plan, "units", dense.units(), 1, kMaxLayerWidth)) return planner.Lose();
  AddDense(plan.name, planner.at().shape.size(), dense.units(), dense.bias(), plan);
  planner.Flatten(dense.units());
}

void PlanProjection(LayerPlanner& planner, const LayerPlanner::Position& before, LayerPlan& plan) {
  const LayerPlanner::Position& at = planner.at();
  const auto covers = [&](int64_t stride) {
    return (before.shape.height + stride - 1) / stride == at.shape.height &&
           (before.shape.width + stride - 1) / stride == at.shape.width;
  };
  int64_t stride = 1;
  while (stride <= kMaxStride && !covers(stride)) ++stride;
  if (stride > kMaxStride || !at.image || !before.image) {
    planner.Wrong(plan,
                  absl::StrCat("gets ", LayerPlanner::ShapeText(before), " and its layers give ",
                               LayerPlanner::ShapeText(at),
                               "; they can be added only if the sizes are equal or differ by a "
                               "stride of 2 to 8 throughout"));
    return planner.Lose();
  }
  plan.window.row_stride = plan.window.column_stride = stride;
  const int64_t filters = at.shape.channels;
  plan.tensors.push_back({absl::StrCat("projection", plan.name.substr(8), ".weight"),
                          {filters, before.shape.channels, 1, 1},
                          true,
                          Start::kGlorotUniform});
  plan.multiply_adds += at.shape.size() * before.shape.channels;
}

void PlanResidual(LayerPlanner& planner, LayerPlan& plan) {
  const LayerPlanner::Layers layers = plan.layer.residual().layers();
  plan.layer.mutable_residual()->clear_layers();
  if (layers.empty()) planner.Wrong(plan, "has no layers; it must have at least one");
  const LayerPlanner::Position before = planner.at();
  planner.PlanBody(layers, plan);
  for (const LayerPlan& inner : plan.body) plan.multiply_adds += inner.multiply_adds;
  if (!planner.known() ||
      (planner.at().shape == before.shape && planner.at().image == before.image))
    return;
  PlanProjection(planner, before, plan);
}

void PlanSqueezeExcitation(LayerPlanner& planner, LayerPlan& plan) {
  const int64_t reduction = plan.layer.squeeze_excitation().reduction();
  if (!planner.InRange(plan, "reduction", reduction, 1, kMaxLayerWidth) ||
      !planner.NeedsImage(plan))
    return;
  const int64_t channels = planner.at().shape.channels;
  if (!planner.InRange(plan, "reduction", reduction, 1, channels)) return;
  const std::string number = plan.name.substr(7);
  const int64_t units = channels / reduction;
  AddDense(absl::StrCat("squeeze", number), channels, units, true, plan);
  AddDense(absl::StrCat("excite", number), units, channels, true, plan);
  planner.SeeAll();
}

void PlanSpatialAttention(LayerPlanner& planner, LayerPlan& plan) {
  v1::SpatialAttention& attention = *plan.layer.mutable_spatial_attention();
  ATELIER_DEFAULT(attention, kernel, 7);
  const int64_t kernel = attention.kernel();
  if (!planner.InRange(plan, "kernel", kernel, 1, kMaxKernel)) return;
  if (kernel % 2 == 0) planner.Wrong(plan, absl::StrCat("kernel is ", kernel, "; it must be odd"));
  if (!planner.NeedsImage(plan)) return;
  plan.tensors.push_back(
      {plan.name + ".weight", {1, 2, kernel, kernel}, true, Start::kGlorotUniform});
  Window& window = plan.window;
  window.height = window.width = kernel;
  window.top = window.bottom = window.left = window.right = kernel / 2;
  LayerPlanner::Position& at = planner.at();
  plan.multiply_adds = at.shape.height * at.shape.width * 2 * kernel * kernel;
  at.field.height += (kernel - 1) * at.row_step;
  at.field.width += (kernel - 1) * at.column_step;
}

void PlanFlatten(LayerPlanner& planner, LayerPlan& /*plan*/) {
  planner.Flatten(planner.at().shape.size());
}

void PlanUnknown(LayerPlanner& planner, LayerPlan& plan) {
  planner.Wrong(plan, "is of no kind that is known here");
  planner.Lose();
}

#undef ATELIER_DEFAULT

std::string StrideText(const Window& window) {
  std::string text = absl::StrCat(", stride ", window.row_stride);
  if (window.row_stride != window.column_stride) absl::StrAppend(&text, "×", window.column_stride);
  return text;
}

std::string ConvolutionText(const LayerPlan& plan) {
  const v1::Convolution& convolution = plan.layer.convolution();
  const Window& window = plan.window;
  std::string text =
      absl::StrCat(convolution.filters(), " filters of ", window.height, "×", window.width);
  if (window.row_stride != 1 || window.column_stride != 1) {
    absl::StrAppend(&text, StrideText(window));
  }
  if (window.dilation != 1) absl::StrAppend(&text, ", dilation ", window.dilation);
  if (convolution.padding() == v1::PADDING_VALID) absl::StrAppend(&text, ", valid");
  if (convolution.groups() == plan.input.channels && convolution.groups() > 1) {
    absl::StrAppend(&text, ", depthwise");
  } else if (convolution.groups() > 1) {
    absl::StrAppend(&text, ", ", convolution.groups(), " groups");
  }
  if (!convolution.bias()) absl::StrAppend(&text, ", no bias");
  return text;
}

// `ACTIVATION_LEAKY_RELU` as `leaky relu`.
std::string ActivationText(const LayerPlan& plan) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(v1::Activation_Name(plan.layer.activation()),
                                                   {{"ACTIVATION_", ""}, {"_", " "}}));
}

std::string BatchNormText(const LayerPlan& /*plan*/) { return "batch norm"; }

std::string GroupNormText(const LayerPlan& plan) {
  return absl::StrCat("group norm, ", plan.layer.group_norm().groups(), " groups");
}

std::string LayerNormText(const LayerPlan& /*plan*/) { return "layer norm"; }

// The stride only where windows overlap or leave gaps.
std::string PooledText(const Window& window) {
  const std::string size = absl::StrCat(window.height, "×", window.width);
  const bool side_by_side =
      window.row_stride == window.height && window.column_stride == window.width;
  return side_by_side ? size : absl::StrCat(size, StrideText(window));
}

std::string MaxPoolingText(const LayerPlan& plan) {
  return absl::StrCat("maximum of ", PooledText(plan.window));
}

std::string AveragePoolingText(const LayerPlan& plan) {
  return absl::StrCat("mean of ", PooledText(plan.window));
}

std::string GlobalPoolingText(const LayerPlan& plan) {
  const bool max = plan.layer.global_pooling() == v1::GLOBAL_POOLING_MAX;
  return max ? "maximum of each channel" : "mean of each channel";
}

std::string DropoutText(const LayerPlan& plan) {
  return absl::StrCat("drops ", plan.layer.dropout().rate());
}

std::string SpatialDropoutText(const LayerPlan& plan) {
  return absl::StrCat("drops ", plan.layer.spatial_dropout().rate(), " of the channels");
}

std::string DenseText(const LayerPlan& plan) {
  return absl::StrCat(plan.layer.dense().units(), " units");
}

std::string ResidualText(const LayerPlan& plan) {
  return plan.projects() ? "sum with a projection" : "sum";
}

std::string SqueezeExcitationText(const LayerPlan& plan) {
  return absl::StrCat("squeeze and excitation, reduction ",
                      plan.layer.squeeze_excitation().reduction());
}

std::string SpatialAttentionText(const LayerPlan& plan) {
  return absl::StrCat("spatial attention, kernel ", plan.layer.spatial_attention().kernel());
}

std::string FlattenText(const LayerPlan& /*plan*/) { return "flatten"; }

std::string UnknownText(const LayerPlan& /*plan*/) { return "unknown"; }

// The last is that of kinds which are not known here.
using Kind = v1::Layer;
constexpr std::array kKinds = {
    LayerKind{Kind::kConvolution, "conv", PlanConvolution, ConvolutionText},
    LayerKind{Kind::kBatchNorm, "norm", PlanBatchNorm, BatchNormText},
    LayerKind{Kind::kGroupNorm, "group_norm", PlanGroupNorm, GroupNormText},
    LayerKind{Kind::kLayerNorm, "layer_norm", PlanLayerNorm, LayerNormText},
    LayerKind{Kind::kActivation, "activation", PlanActivation, ActivationText},
    LayerKind{Kind::kMaxPooling, "pool", PlanPooling, MaxPoolingText},
    LayerKind{Kind::kAveragePooling, "pool", PlanPooling, AveragePoolingText},
    LayerKind{Kind::kGlobalPooling, "global_pool", PlanGlobalPooling, GlobalPoolingText},
    LayerKind{Kind::kDropout, "dropout", PlanDropout, DropoutText},
    LayerKind{Kind::kSpatialDropout, "dropout", PlanDropout, SpatialDropoutText},
    LayerKind{Kind::kDense, "dense", PlanDense, DenseText},
    LayerKind{Kind::kResidual, "residual", PlanResidual, ResidualText},
    LayerKind{Kind::kSqueezeExcitation, "squeeze", PlanSqueezeExcitation, SqueezeExcitationText},
    LayerKind{Kind::kSpatialAttention, "attention", PlanSpatialAttention, SpatialAttentionText},
    LayerKind{Kind::kFlatten, "flatten", PlanFlatten, FlattenText},
    LayerKind{Kind::KIND_NOT_SET, "unknown", PlanUnknown, UnknownText},
};

}  // namespace

const LayerKind& LayerKindOf(v1::Layer::KindCase kind) {
  const auto* const found = std::find_if(kKinds.begin(), kKinds.end(),
                                         [kind](const LayerKind& row) { return row.kind == kind; });
  return found == kKinds.end() ? kKinds.back() : *found;
}

}  // namespace atelier::models
