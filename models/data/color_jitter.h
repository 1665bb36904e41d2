// Random brightness, contrast and saturation, as torchvision's ColorJitter has them. Thread-safe: a
// free function.
#ifndef ATELIER_MODELS_DATA_COLOR_JITTER_H_
#define ATELIER_MODELS_DATA_COLOR_JITTER_H_

#include <cstdint>

#include "models/base/image_shape.h"
#include "models/base/random.h"

namespace atelier::models {

// Applies to `image`, channels × height × width, in random order and each with a factor f of its
// own, uniform in 1 - strength to 1 + strength: brightness, which multiplies pixels by f; contrast,
// which moves them from the mean of the image's grey to f times as far from it; saturation, which
// does so from each pixel's own grey and needs three channels. Grey is 0.299 red + 0.587 green +
// 0.114 blue, of other images the mean of the channels. What leaves 0 to 255 is cut off.
void JitterColors(double strength, const ImageShape& shape, RandomStream& random, uint8_t* image);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_COLOR_JITTER_H_
