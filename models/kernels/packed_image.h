// One image on its way through a packed network, in training and inference alike: into the first
// layer, and out of a block. Thread-safe: free functions.
#ifndef ATELIER_MODELS_KERNELS_PACKED_IMAGE_H_
#define ATELIER_MODELS_KERNELS_PACKED_IMAGE_H_

#include <cstdint>
#include <optional>

#include "models/base/image_shape.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/squeeze_excitation.h"

namespace atelier::models {

// Writes an image (channels × height × width; bytes are divided by 255, floats taken as they are),
// standardised if the network does so, to where the layout's first layer wants it: with channels
// side by side inside a border for a convolution, in the same order for a dense layer.
void PlacePixels(const PackedLayout& layout, const ImageShape& shape, const uint8_t* pixels,
                 float* to);
void PlacePixels(const PackedLayout& layout, const ImageShape& shape, const float* pixels,
                 float* to);

// What follows normalisation and pooling in convolution block i: squeeze and excitation of image
// `image` where the block has it, which then finds its map in place, and the sum with what an
// earlier block gave, `skipped`; null where the block skips none. Leaves the block's output in
// `output`.
void FinishOutput(const PackedLayout& layout, size_t i, const float* parameters, int64_t image,
                  std::optional<SqueezeExcitation>& squeeze, const float* skipped, float* output);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PACKED_IMAGE_H_
