// What each block of a network makes of an image: its feature maps, as numbers and as pictures.
// Thread-safe: free functions, each computing on the calling thread alone.
#ifndef ATELIER_MODELS_ARCHIVE_FEATURE_MAPS_H_
#define ATELIER_MODELS_ARCHIVE_FEATURE_MAPS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/pixel_span.h"
#include "models/network/architecture.h"
#include "models/network/trained_model.h"
#include "models/pictures/tiled_picture.h"

namespace atelier::models {

// The activations after one block: what the next layer gets.
struct FeatureMap {
  // Counted from 1.
  int64_t block = 0;
  ImageShape shape;
  // C×H×W.
  std::vector<float> values;
};

// The feature maps of all blocks, first block first; none for a network without convolutions. By
// LibTorch, from the weights as they were trained. Requires a valid model and the pixels of one
// image of its size. FailureReason kOutOfMemory, kInternal.
absl::StatusOr<std::vector<FeatureMap>> FeatureMapsOf(const TrainedModel& model,
                                                      const PixelSpan& image);

// A tile for each channel, on a scale of its own. `zoom` is at least 1. Errors as DrawTiles.
absl::StatusOr<TiledPicture> DrawFeatureMap(const FeatureMap& map, int64_t zoom,
                                            int64_t max_pixels);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_FEATURE_MAPS_H_
