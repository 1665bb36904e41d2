// Depthwise convolutions in float32, vectorised by Highway as panel_kernels.h has it: each channel
// has a window of its own. Thread-safe; nothing is allocated.
#ifndef ATELIER_MODELS_KERNELS_DEPTHWISE_H_
#define ATELIER_MODELS_KERNELS_DEPTHWISE_H_

#include <cstdint>

#include "models/base/image_shape.h"
#include "models/kernels/panel_kernels.h"
#include "models/network/layer_plan.h"

namespace atelier::models {

// Channels are a multiple of this.
inline constexpr int64_t kDepthwiseChannels = 16;

// output = activation(convolution of the input + bias), of one image. Both images are height ×
// width × channels, `weights` window height × window width × channels.
void ConvolveDepthwise(const Window& window, const ImageShape& input_shape,
                       const ImageShape& output_shape, const float* input, const float* weights,
                       const float* bias, Activation activation, float* output);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_DEPTHWISE_H_
