#include "models/archive/filters.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace atelier::models {

absl::StatusOr<const NamedTensor*> FiltersOf(const TrainedModel& model, int64_t layer) {
  const int64_t layers = ConvolutionCount(PlanOf(model.architecture));
  if (layers == 0) return absl::FailedPreconditionError("The network has no convolutions.");
  if (layer < 1 || layer > layers) {
    return absl::OutOfRangeError(absl::StrCat("There is no convolution layer ", layer,
                                              "; the network has layers 1 to ", layers, "."));
  }
  return model.Find(absl::StrCat("conv", layer, ".weight"));
}

float Magnitude(const NamedTensor& tensor) {
  float largest = 0;
  for (const float value : tensor.values) largest = std::max(largest, std::abs(value));
  return largest;
}

namespace {

// White. Of filters that are all zero any limit makes them middle grey.
float LimitOf(const NamedTensor& filters) { return std::max(Magnitude(filters), 1e-30F); }

}  // namespace

absl::StatusOr<TiledPicture> DrawFilters(const NamedTensor& filters, int64_t zoom,
                                         int64_t max_pixels) {
  const int64_t inputs = filters.shape[1];
  const int64_t height = filters.shape[2];
  const int64_t width = filters.shape[3];
  TileOptions options{.zoom = zoom, .max_pixels = max_pixels, .columns = inputs == 1 ? 0 : inputs};
  options.limit = LimitOf(filters);
  if (inputs <= kMaxFilterColumns) return DrawTiles(filters.values, height, width, options);
  options.columns = kMaxFilterColumns;
  std::vector<float> kept;
  for (int64_t filter = 0; filter < filters.shape[0]; ++filter) {
    const auto begin = filters.values.begin() + filter * inputs * height * width;
    kept.insert(kept.end(), begin, begin + kMaxFilterColumns * height * width);
  }
  return DrawTiles(kept, height, width, options);
}

bool SeesColors(const TrainedModel& model, int64_t layer) {
  const absl::StatusOr<const NamedTensor*> filters = FiltersOf(model, layer);
  return layer == 1 && model.architecture.input.channels == 3 && filters.ok() &&
         (*filters)->shape[1] == 3;
}

absl::StatusOr<TiledPicture> DrawColorFilters(const NamedTensor& filters, int64_t zoom,
                                              int64_t max_pixels) {
  return DrawTiles(
      filters.values, filters.shape[2], filters.shape[3],
      {.zoom = zoom, .max_pixels = max_pixels, .limit = LimitOf(filters), .color = true});
}

}  // namespace atelier::models
