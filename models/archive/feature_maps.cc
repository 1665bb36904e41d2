#include "models/archive/feature_maps.h"

#include <variant>

#include "models/base/compute_thread.h"
#include "models/base/exception_guard.h"
#include "models/torch/libtorch.h"
#include "models/torch/network.h"

namespace atelier::models {

absl::StatusOr<std::vector<FeatureMap>> FeatureMapsOf(const TrainedModel& model,
                                                      const PixelSpan& image) {
  const auto compute = [&]() -> absl::StatusOr<std::vector<FeatureMap>> {
    UseOneTorchThread();
    const at::InferenceMode inference;
    const NetworkPlan plan = PlanOf(model.architecture);
    const at::Tensor batch =
        std::visit([&](const auto& pixels) { return ImagesTensor(plan, pixels); }, image);
    std::vector<at::Tensor> blocks;
    LogitsAndBlocks(plan, TensorsOf(model), batch, &blocks);
    std::vector<FeatureMap> maps;
    for (const at::Tensor& output : blocks) {
      // Channels last in memory until here.
      const at::Tensor plain = output.contiguous();
      const float* const values = plain.data_ptr<float>();
      maps.push_back({static_cast<int64_t>(maps.size()) + 1,
                      {plain.size(1), plain.size(2), plain.size(3)},
                      std::vector<float>(values, values + plain.numel())});
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
