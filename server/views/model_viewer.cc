#include "server/views/model_viewer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/archive/filters.h"
#include "models/archive/model_archive.h"
#include "server/serving/engine.h"
#include "server/serving/input_error.h"

namespace atelier::views {
namespace {

constexpr std::int64_t kFilterZoom = 12;
constexpr std::int64_t kFeatureZoom = 2;
constexpr std::int64_t kHeatZoom = 8;
constexpr serving::InputLimits kOneImage = {.max_images = 1, .max_files = 1};

absl::StatusOr<std::int64_t> ResolveZoom(std::int64_t zoom, std::int64_t usual) {
  if (zoom == 0) return usual;
  if (zoom >= 1 && zoom <= ModelViewer::kMaxZoom) return zoom;
  return serving::InputError(
      "zoom", absl::StrCat("The zoom is ", zoom, "; it must be 1 to ", ModelViewer::kMaxZoom,
                           ", or 0 for the default."));
}

// `what` counts from 1; 0 stands for all, or the first.
absl::Status CheckNumber(absl::string_view what, std::int64_t number, std::int64_t count) {
  if (number >= 0 && number <= count) return absl::OkStatus();
  return serving::InputError(what, absl::StrCat("There is no ", what, " ", number,
                                                "; the model has ", what, "s 1 to ", count, "."));
}

absl::Status CheckValues(std::int64_t values) {
  if (values <= ModelViewer::kMaxValues) return absl::OkStatus();
  return serving::InputError(
      "values", absl::StrCat("There are ", values, " numbers; at most ", ModelViewer::kMaxValues,
                             " are sent at once. The picture can be had alone."));
}

absl::StatusOr<std::int64_t> ConvolutionsOf(const serving::Version& version,
                                            const models::TrainedModel& network) {
  const std::int64_t count = models::ConvolutionCount(models::PlanOf(network.architecture));
  if (count > 0) return count;
  return absl::FailedPreconditionError(
      absl::StrCat(version.model, "@", version.number, " (", network.architecture.network.name(),
                   ") has no convolutions, so that there are no filters and feature maps to show. "
                   "Occlusion explains its answers."));
}

// `field` with a value in that range, or `usual` for 0.
absl::StatusOr<std::int64_t> ResolveSize(absl::string_view field, std::int64_t value,
                                         std::int64_t most, std::int64_t usual) {
  if (value == 0) return usual;
  if (value >= 1 && value <= most) return value;
  return serving::InputError(field, absl::StrCat("The ", field, " is ", value, "; it must be 1 to ",
                                                 most, ", or 0 for the default."));
}

absl::StatusOr<models::Occluder> OccluderOf(const ExplainRequest& request,
                                            const models::Architecture& architecture) {
  const models::ImageShape& shape = architecture.input;
  const std::int64_t edge = std::min(shape.height, shape.width);
  const auto window = ResolveSize("window", request.window, edge, (edge + 3) / 4);
  if (!window.ok()) return window.status();
  const auto stride = ResolveSize("stride", request.stride, *window, (*window + 1) / 2);
  if (!stride.ok()) return stride.status();
  const models::Occluder occluder{*window, *stride};
  const std::int64_t positions = models::OccluderPositions(shape.height, occluder) *
                                 models::OccluderPositions(shape.width, occluder);
  const std::int64_t most = models::MaxOccluderPositions(architecture);
  if (positions <= most) return occluder;
  return serving::InputError(
      "stride", absl::StrCat("A window of ", *window, " and a stride of ", *stride, " make ",
                             positions, " positions; this model is computed for at most ", most,
                             ". Larger ones make fewer."));
}

// The class that is explained; none for the most probable one.
absl::StatusOr<std::optional<std::int64_t>> TargetOf(const std::string& target,
                                                     const std::vector<std::string>& names) {
  constexpr std::size_t kMostNamed = 20;
  constexpr std::size_t kLongestQuoted = 200;
  if (target.empty()) return std::nullopt;
  const auto named = std::find(names.begin(), names.end(), target);
  if (named != names.end()) return named - names.begin();
  std::int64_t index = -1;
  const auto classes = static_cast<std::int64_t>(names.size());
  if (absl::SimpleAtoi(target, &index) && index >= 0 && index < classes) return index;
  const std::size_t listed = std::min(names.size(), kMostNamed);
  return serving::InputError(
      "target_class",
      absl::StrCat(
          "There is no class ",
          target.size() <= kLongestQuoted ? absl::StrCat("'", target, "'") : "of that name",
          "; the model has ",
          absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
          listed < names.size() ? " and others" : "", ", by number 0 to ", classes - 1, "."));
}

// An option of one method, given with another.
absl::Status CheckUnused(absl::string_view field, std::int64_t value, absl::string_view method) {
  if (value == 0) return absl::OkStatus();
  return serving::InputError(field,
                             absl::StrCat("The ", field, " is an option of ", method, " alone."));
}

// Fills in how the request wants it explained.
absl::Status ResolveMethod(const ExplainRequest& request, const serving::Version& version,
                           const models::TrainedModel& network, ExplainResult* result) {
  result->method = request.method;
  if (request.method == ExplainRequest::Method::kOcclusion) {
    if (auto status = CheckUnused("block", request.block, "Grad-CAM"); !status.ok()) return status;
    const auto occluder = OccluderOf(request, network.architecture);
    if (!occluder.ok()) return occluder.status();
    result->occluder = *occluder;
    result->blocks = models::ConvolutionCount(models::PlanOf(network.architecture));
    return absl::OkStatus();
  }
  for (const auto& [field, value] :
       {std::pair("window", request.window), std::pair("stride", request.stride)}) {
    if (auto status = CheckUnused(field, value, "occlusion"); !status.ok()) return status;
  }
  const auto blocks = ConvolutionsOf(version, network);
  if (!blocks.ok()) return blocks.status();
  result->blocks = *blocks;
  result->block = request.block == 0 ? *blocks : request.block;
  return CheckNumber("block", request.block, *blocks);
}

absl::StatusOr<models::Explanation> ComputeExplanation(const ExplainRequest& request,
                                                       const models::TrainedModel& network,
                                                       const serving::Pixels& image,
                                                       std::optional<std::int64_t> target,
                                                       const ExplainResult& resolved) {
  if (request.method == ExplainRequest::Method::kOcclusion) {
    return models::Occlusion(network, image, resolved.occluder, target, request.still_wanted);
  }
  return models::GradCam(network, image, resolved.block, target);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelViewer::Contents>> ModelViewer::Read(
    const serving::Version& version) {
  if (absl::Status status = CheckArchive(version); !status.ok()) return status;
  auto archive = models::ReadModelArchive(version.archive_path);
  if (!archive.ok()) return absl::UnavailableError(archive.status().message());
  auto network = models::TrainedModelOf(*archive);
  if (!network.ok()) return absl::UnavailableError(network.status().message());
  return std::make_shared<const Contents>(
      Contents{*std::move(network), std::move(archive->class_names)});
}

absl::StatusOr<ModelViewer::Kept> ModelViewer::Open(const std::string& model,
                                                    const std::string& reference) {
  auto version = source_->Resolve(model, reference);
  if (!version.ok()) return version.status();
  if (auto fetched = source_->Fetch(*version); !fetched.ok()) return fetched;
  const auto file = models::FileIdentity::Of(version->archive_path);
  if (!file.has_value()) {
    return absl::UnavailableError(absl::StrCat(version->archive_path, " is missing."));
  }
  {
    absl::MutexLock lock(&mutex_);
    const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& entry) {
      return entry.version == *version && entry.file == *file;
    });
    if (kept != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, kept);
      return *kept;
    }
  }
  auto contents = Read(*version);
  if (!contents.ok()) return contents.status();
  Kept opened = {*std::move(version), *file, *std::move(contents)};
  absl::MutexLock lock(&mutex_);
  kept_.push_front(opened);
  if (kept_.size() > max_kept_) kept_.pop_back();
  return opened;
}

absl::StatusOr<FiltersResult> ModelViewer::Filters(const FiltersRequest& request) {
  const auto zoom = ResolveZoom(request.zoom, kFilterZoom);
  if (!zoom.ok()) return zoom.status();
  auto opened = Open(request.model, request.reference);
  if (!opened.ok()) return opened.status();
  const auto layers = ConvolutionsOf(opened->version, opened->contents->network);
  if (!layers.ok()) return layers.status();
  if (absl::Status status = CheckNumber("layer", request.layer, *layers); !status.ok()) {
    return status;
  }
  const std::int64_t layer = std::max<std::int64_t>(request.layer, 1);
  const auto filters = models::FiltersOf(opened->contents->network, layer);
  if (!filters.ok()) return filters.status();
  const models::NamedTensor& tensor = **filters;
  if (request.values) {
    absl::Status status = CheckValues(static_cast<std::int64_t>(tensor.values.size()));
    if (!status.ok()) return status;
  }
  const bool color = models::SeesColors(opened->contents->network, layer);
  auto picture = color ? models::DrawColorFilters(tensor, *zoom, kMaxPixels)
                       : models::DrawFilters(tensor, *zoom, kMaxPixels);
  if (!picture.ok()) return picture.status();
  return FiltersResult{
      std::move(opened->version),
      layer,
      *layers,
      {tensor.name, tensor.shape, request.values ? tensor.values : std::vector<float>()},
      models::Magnitude(tensor),
      color,
      *std::move(picture)};
}

absl::StatusOr<FeatureMapsResult> ModelViewer::FeatureMaps(const FeatureMapsRequest& request) {
  const auto zoom = ResolveZoom(request.zoom, kFeatureZoom);
  if (!zoom.ok()) return zoom.status();
  auto opened = Open(request.model, request.reference);
  if (!opened.ok()) return opened.status();
  const auto blocks = ConvolutionsOf(opened->version, opened->contents->network);
  if (!blocks.ok()) return blocks.status();
  if (absl::Status status = CheckNumber("block", request.block, *blocks); !status.ok()) {
    return status;
  }
  const auto image = CheckImages(request.image, opened->contents->network.architecture.input,
                                 kOneImage, request.still_wanted);
  if (!image.ok()) return image.status();
  auto maps = models::FeatureMapsOf(opened->contents->network, image->pixels);
  if (!maps.ok()) return maps.status();
  if (request.block > 0) {
    maps = std::vector<models::FeatureMap>{
        std::move((*maps)[static_cast<std::size_t>(request.block - 1)])};
  }
  FeatureMapsResult result{std::move(opened->version), *blocks, {}};
  std::int64_t values = 0;
  for (models::FeatureMap& map : *maps) {
    values += static_cast<std::int64_t>(map.values.size());
    auto picture =
        models::DrawFeatureMap(map, *zoom, kMaxPixels / static_cast<std::int64_t>(maps->size()));
    if (!picture.ok()) return picture.status();
    result.maps.push_back({std::move(map), *std::move(picture)});
  }
  if (request.values) {
    if (absl::Status status = CheckValues(values); !status.ok()) return status;
  }
  return result;
}

absl::StatusOr<ExplainResult> ModelViewer::Explain(const ExplainRequest& request) {
  const auto zoom = ResolveZoom(request.zoom, kHeatZoom);
  if (!zoom.ok()) return zoom.status();
  auto opened = Open(request.model, request.reference);
  if (!opened.ok()) return opened.status();
  const models::TrainedModel& network = opened->contents->network;
  ExplainResult result;
  if (auto status = ResolveMethod(request, opened->version, network, &result); !status.ok()) {
    return status;
  }
  const auto target = TargetOf(request.target, opened->contents->class_names);
  if (!target.ok()) return target.status();
  const models::ImageShape& shape = network.architecture.input;
  const auto image = CheckImages(request.image, shape, kOneImage, request.still_wanted);
  if (!image.ok()) return image.status();
  auto explanation = ComputeExplanation(request, network, image->pixels, *target, result);
  if (!explanation.ok()) return explanation.status();
  if (request.values) {
    const auto values = static_cast<std::int64_t>(explanation->heat.values.size());
    if (absl::Status status = CheckValues(values); !status.ok()) return status;
  }
  auto overlay = models::DrawHeat(shape, image->pixels, explanation->drawn, *zoom, kMaxPixels);
  if (!overlay.ok()) return overlay.status();
  result.version = std::move(opened->version);
  result.class_names = opened->contents->class_names;
  result.explanation = *std::move(explanation);
  result.overlay = *std::move(overlay);
  return result;
}

}  // namespace atelier::views
