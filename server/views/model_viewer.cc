#include "server/views/model_viewer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/archive/filters.h"
#include "models/archive/model_archive.h"
#include "server/serving/engine.h"
#include "server/serving/input_error.h"

namespace atelier::views {
namespace {

constexpr std::int64_t kFilterZoom = 12;
constexpr std::int64_t kFeatureZoom = 2;
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
  return absl::FailedPreconditionError(absl::StrCat(
      version.model, "@", version.number, " (", network.architecture.network.name(),
      ") has no convolutions, so that there are no filters and feature maps to show."));
}

absl::StatusOr<std::shared_ptr<const models::TrainedModel>> ReadNetwork(
    const serving::Version& version) {
  if (absl::Status status = CheckArchive(version); !status.ok()) return status;
  const auto archive = models::ReadModelArchive(version.archive_path);
  if (!archive.ok()) return absl::UnavailableError(archive.status().message());
  auto network = models::TrainedModelOf(*archive);
  if (!network.ok()) return absl::UnavailableError(network.status().message());
  return std::make_shared<const models::TrainedModel>(*std::move(network));
}

}  // namespace

absl::StatusOr<ModelViewer::Kept> ModelViewer::Open(const std::string& model,
                                                    const std::string& reference) {
  auto version = source_->Resolve(model, reference);
  if (!version.ok()) return version.status();
  const auto file = serving::FileIdentity::Of(version->archive_path);
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
  auto network = ReadNetwork(*version);
  if (!network.ok()) return network.status();
  Kept opened = {*std::move(version), *file, *std::move(network)};
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
  const auto layers = ConvolutionsOf(opened->version, *opened->network);
  if (!layers.ok()) return layers.status();
  if (absl::Status status = CheckNumber("layer", request.layer, *layers); !status.ok()) {
    return status;
  }
  const std::int64_t layer = std::max<std::int64_t>(request.layer, 1);
  const auto filters = models::FiltersOf(*opened->network, layer);
  if (!filters.ok()) return filters.status();
  const models::NamedTensor& tensor = **filters;
  if (request.values) {
    absl::Status status = CheckValues(static_cast<std::int64_t>(tensor.values.size()));
    if (!status.ok()) return status;
  }
  auto picture = models::DrawFilters(tensor, *zoom, kMaxPixels);
  if (!picture.ok()) return picture.status();
  return FiltersResult{
      std::move(opened->version),
      layer,
      *layers,
      {tensor.name, tensor.shape, request.values ? tensor.values : std::vector<float>()},
      models::Magnitude(tensor),
      *std::move(picture)};
}

absl::StatusOr<FeatureMapsResult> ModelViewer::FeatureMaps(const FeatureMapsRequest& request) {
  const auto zoom = ResolveZoom(request.zoom, kFeatureZoom);
  if (!zoom.ok()) return zoom.status();
  auto opened = Open(request.model, request.reference);
  if (!opened.ok()) return opened.status();
  const auto blocks = ConvolutionsOf(opened->version, *opened->network);
  if (!blocks.ok()) return blocks.status();
  if (absl::Status status = CheckNumber("block", request.block, *blocks); !status.ok()) {
    return status;
  }
  const auto image = CheckImages(request.image, opened->network->architecture.input, kOneImage,
                                 request.still_wanted);
  if (!image.ok()) return image.status();
  auto maps = models::FeatureMapsOf(*opened->network, image->pixels);
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

}  // namespace atelier::views
