#include "server/rpc/picture_messages.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {
namespace {

static_assert(std::endian::native == std::endian::little, "values are sent as they are in memory");

std::string BytesOf(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

v1::TiledPicture MessageOf(models::TiledPicture picture) {
  const models::TileLayout& layout = picture.layout;
  v1::TiledPicture proto;
  proto.set_png(std::move(picture.png));
  proto.set_tiles(static_cast<std::int32_t>(layout.tiles));
  proto.set_rows(static_cast<std::int32_t>(layout.rows));
  proto.set_columns(static_cast<std::int32_t>(layout.columns));
  proto.set_tile_height(static_cast<std::int32_t>(layout.tile_height));
  proto.set_tile_width(static_cast<std::int32_t>(layout.tile_width));
  proto.set_gap(static_cast<std::int32_t>(layout.gap));
  proto.set_zoom(static_cast<std::int32_t>(layout.zoom));
  return proto;
}

v1::FeatureMap MessageOf(views::FeatureMapsResult::Map map, bool values) {
  const std::vector<float>& numbers = map.map.values;
  v1::FeatureMap proto;
  proto.set_block(static_cast<std::int32_t>(map.map.block));
  *proto.mutable_shape() = rpc::ToProto(map.map.shape);
  if (values) proto.set_values(BytesOf(numbers));
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  proto.set_minimum(*least);
  proto.set_maximum(*most);
  *proto.mutable_picture() = MessageOf(std::move(map.picture));
  return proto;
}

v1::ClassProbability MessageOf(const views::ExplainResult& result, std::size_t index) {
  v1::ClassProbability proto;
  proto.set_index(static_cast<std::int32_t>(index));
  proto.set_name(result.class_names[index]);
  proto.set_probability(result.explanation.probabilities[index]);
  return proto;
}

// The most probable classes first.
void AddClasses(const views::ExplainResult& result, v1::Explanation* proto) {
  constexpr std::size_t kMostClasses = 5;
  const std::vector<float>& probabilities = result.explanation.probabilities;
  const auto classes = static_cast<int>(std::min(probabilities.size(), kMostClasses));
  for (const serving::RankedClass& ranked : serving::RankClasses(probabilities, classes)) {
    *proto->add_classes() = MessageOf(result, static_cast<std::size_t>(ranked.index));
  }
}

}  // namespace

absl::StatusOr<views::FiltersRequest> FromProto(const v1::GetFiltersRequest& request) {
  auto name = jobs::ParseModelName(request.name());
  if (!name.ok()) return name.status();
  return views::FiltersRequest{.model = std::move(name->model),
                               .reference = std::move(name->version),
                               .layer = request.layer(),
                               .zoom = request.zoom(),
                               .values = !request.has_values() || request.values()};
}

absl::StatusOr<views::FeatureMapsRequest> FromProto(const v1::GetFeatureMapsRequest& request) {
  auto name = jobs::ParseModelName(request.name());
  if (!name.ok()) return name.status();
  auto image = InputOf(request);
  if (!image.ok()) return image.status();
  return views::FeatureMapsRequest{.model = std::move(name->model),
                                   .reference = std::move(name->version),
                                   .image = *std::move(image),
                                   .block = request.block(),
                                   .zoom = request.zoom(),
                                   .values = request.values()};
}

absl::StatusOr<views::ExplainRequest> FromProto(const v1::ExplainRequest& request) {
  auto name = jobs::ParseModelName(request.name());
  if (!name.ok()) return name.status();
  auto image = InputOf(request);
  if (!image.ok()) return image.status();
  using Method = views::ExplainRequest::Method;
  if (!v1::ExplanationMethod_IsValid(request.method())) {
    return jobs::InvalidField("method", absl::StrCat("There is no method ", request.method(),
                                                     "; it must be EXPLANATION_METHOD_GRAD_CAM (1) "
                                                     "or EXPLANATION_METHOD_OCCLUSION (2)."));
  }
  return views::ExplainRequest{.model = std::move(name->model),
                               .reference = std::move(name->version),
                               .image = *std::move(image),
                               .method = request.method() == v1::EXPLANATION_METHOD_OCCLUSION
                                             ? Method::kOcclusion
                                             : Method::kGradCam,
                               .target = request.target_class(),
                               .block = request.block(),
                               .window = request.window(),
                               .stride = request.stride(),
                               .zoom = request.zoom(),
                               .values = request.values()};
}

v1::Filters ToProto(views::FiltersResult result) {
  v1::Filters proto;
  proto.set_model_version(jobs::ModelVersionName(result.version.model, result.version.number));
  proto.set_layer(static_cast<std::int32_t>(result.layer));
  proto.set_layer_count(static_cast<std::int32_t>(result.layers));
  proto.mutable_shape()->Add(result.filters.shape.begin(), result.filters.shape.end());
  proto.set_values(BytesOf(result.filters.values));
  proto.set_scale(result.scale);
  proto.set_color(result.color);
  *proto.mutable_picture() = MessageOf(std::move(result.picture));
  return proto;
}

v1::FeatureMaps ToProto(views::FeatureMapsResult result, bool values) {
  v1::FeatureMaps proto;
  proto.set_model_version(jobs::ModelVersionName(result.version.model, result.version.number));
  proto.set_block_count(static_cast<std::int32_t>(result.blocks));
  for (auto& map : result.maps) *proto.add_maps() = MessageOf(std::move(map), values);
  return proto;
}

v1::Explanation ToProto(views::ExplainResult result, bool values) {
  v1::Explanation proto;
  proto.set_model_version(jobs::ModelVersionName(result.version.model, result.version.number));
  AddClasses(result, &proto);
  *proto.mutable_target() = MessageOf(result, static_cast<std::size_t>(result.explanation.target));
  const bool occlusion = result.method == views::ExplainRequest::Method::kOcclusion;
  proto.set_method(occlusion ? v1::EXPLANATION_METHOD_OCCLUSION : v1::EXPLANATION_METHOD_GRAD_CAM);
  proto.set_block(static_cast<std::int32_t>(result.block));
  proto.set_block_count(static_cast<std::int32_t>(result.blocks));
  if (occlusion) {
    proto.set_window(static_cast<std::int32_t>(result.occluder.window));
    proto.set_stride(static_cast<std::int32_t>(result.occluder.stride));
  }
  const models::HeatMap& heat = result.explanation.heat;
  proto.set_height(static_cast<std::int32_t>(heat.height));
  proto.set_width(static_cast<std::int32_t>(heat.width));
  if (values) proto.set_values(BytesOf(heat.values));
  const auto [least, most] = std::minmax_element(heat.values.begin(), heat.values.end());
  proto.set_minimum(*least);
  proto.set_maximum(*most);
  proto.set_png(std::move(result.overlay.png));
  proto.set_zoom(static_cast<std::int32_t>(result.overlay.zoom));
  return proto;
}

absl::Status WithPictureDetail(const absl::Status& status) {
  if (absl::IsFailedPrecondition(status) && jobs::ReasonOf(status).empty()) {
    return jobs::Error(status.code(), "NO_CONVOLUTIONS", status.message());
  }
  return WithDetail(status);
}

}  // namespace atelier::rpc
