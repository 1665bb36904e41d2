// Squeeze and excitation (Hu, Shen and Sun, 2018, "Squeeze-and-Excitation Networks") by our own
// kernels, forward and backward: from the means of a map's channels two small dense layers make a
// number between 0 and 1 for each channel, which the channel is multiplied by. Image by image, in
// memory that is allocated once. Not thread-safe.
#ifndef ATELIER_MODELS_KERNELS_SQUEEZE_EXCITATION_H_
#define ATELIER_MODELS_KERNELS_SQUEEZE_EXCITATION_H_

#include <cstdint>
#include <vector>

#include "models/base/float_buffer.h"
#include "models/kernels/packed_layout.h"

namespace atelier::models {

// Means of the channels of one map (pixels × channels, no border).
class ChannelMeans {
 public:
  explicit ChannelMeans(int64_t channels);
  void Compute(int64_t pixels, const float* map, float* means);

 private:
  std::vector<double> sums_;
  std::vector<double> squares_;
};

class SqueezeExcitation {
 public:
  enum class Use { kInference, kTraining };

  // For up to so many images; the layer, which has squeeze and excitation, must outlive it.
  SqueezeExcitation(const PackedConvLayer& layer, int64_t images, Use use);

  // Where the image's map has to be before Forward, and stays: without border.
  float* map(int64_t image) const { return map_.data() + image * layer_.pool.pooled_size(); }
  // Writes it scaled, rows as far apart as the layer after it wants them.
  void Forward(const float* parameters, int64_t image, float* output);

  // From the gradient by the output (no border) to that by the map.
  void Backward(const float* derived, int64_t image, const float* gradient);
  const float* map_gradient(int64_t image) const {
    return map_gradient_.data() + image * layer_.pool.pooled_size();
  }
  // After the first `images` went backward: the gradients by the dense layers' parameters.
  void WriteGradients(int64_t images, float* gradients) const;

 private:
  const PackedConvLayer& layer_;
  const int64_t pixels_;
  FloatBuffer map_;
  FloatBuffer map_gradient_;
  // A row an image: what goes into the first layer, comes out of it, and comes out in the end; the
  // gradients by the layers' results before their activations.
  FloatBuffer means_;
  FloatBuffer hidden_;
  FloatBuffer gates_;
  FloatBuffer hidden_gradient_;
  FloatBuffer gates_gradient_;
  // Of one image.
  ChannelMeans average_;
  FloatBuffer zeros_;
  FloatBuffer mean_gradient_;
  std::vector<double> sums_;
  std::vector<double> products_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_SQUEEZE_EXCITATION_H_
