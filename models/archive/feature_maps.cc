#include "models/archive/feature_maps.h"

#include <utility>

#include "models/base/exception_guard.h"
#include "models/network/torch_library.h"

namespace atelier::models {

absl::StatusOr<std::vector<FeatureMap>> FeatureMapsOf(const TrainedModel& model,
                                                      const PixelSpan& image) {
  const auto compute = [&]() -> absl::StatusOr<std::vector<FeatureMap>> {
    std::vector<FeatureMap> maps;
    for (BlockOutput& output : TorchLibrary::Get().RunBlocks(model, image)) {
      const int64_t block = static_cast<int64_t>(maps.size()) + 1;
      maps.push_back({block, output.shape, std::move(output.values)});
    }
    return maps;
  };
  return GuardExceptions("computing feature maps", compute);
}

absl::StatusOr<TiledPicture> DrawFeatureMap(const FeatureMap& map, int64_t zoom,
                                            int64_t max_pixels) {
  return DrawTiles(map.values, map.shape.height, map.shape.width,
                   {.zoom = zoom, .max_pixels = max_pixels});
}

}  // namespace atelier::models
