// What a block of a network contributes to a class's logit: its feature maps, and the logit's
// gradient by them, by LibTorch's autograd. Private to models/. Throws what LibTorch throws.
// Thread-safe: a free function.
#ifndef ATELIER_MODELS_TORCH_BLOCK_GRADIENT_H_
#define ATELIER_MODELS_TORCH_BLOCK_GRADIENT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "models/base/image_shape.h"
#include "models/base/pixel_span.h"
#include "models/network/trained_model.h"

namespace atelier::models {

struct BlockGradient {
  // Of all classes.
  std::vector<float> probabilities;
  // The class whose logit it is.
  int64_t target = 0;
  ImageShape shape;
  // C×H×W both.
  std::vector<float> activations;
  std::vector<float> gradient;
};

// Of one image, for the class `target` or, without one, the most probable class. Requires a valid
// model, the pixels of one image of its size, a block from 1 to the number of its convolutions and
// one of its classes.
BlockGradient BlockGradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                              std::optional<int64_t> target);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_BLOCK_GRADIENT_H_
