// What is inside of a network while it computes: TorchLibrary's functions of that. Private to
// models/. Throws what LibTorch throws. Thread-safe: free functions.
#ifndef ATELIER_MODELS_TORCH_BLOCKS_H_
#define ATELIER_MODELS_TORCH_BLOCKS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "models/base/pixel_span.h"
#include "models/network/torch_library.h"
#include "models/network/trained_model.h"

namespace atelier::models {

// See TorchLibrary::RunBlocks.
std::vector<BlockOutput> RunBlocks(const TrainedModel& model, const PixelSpan& image);

// See TorchLibrary::GradientOf; by LibTorch's autograd.
BlockGradient GradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                         std::optional<int64_t> target);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_BLOCKS_H_
