// What a network is, as plain data: blocks of convolution → ReLU → batch norm → pooling, then dense
// layers with ReLU and dropout, then one output per class. The study's five networks are presets,
// and two that go on from them.
// Everything that builds, counts, stores or draws a network starts from here. Values; no LibTorch.
#ifndef ATELIER_MODELS_NETWORK_ARCHITECTURE_H_
#define ATELIER_MODELS_NETWORK_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/image_shape.h"

namespace atelier::models {

// Zeros around an image before a convolution, in pixels.
struct Padding {
  int64_t top = 0;
  int64_t bottom = 0;
  int64_t left = 0;
  int64_t right = 0;

  // Whether it is the same on opposite sides.
  bool symmetric() const { return top == bottom && left == right; }
};

// Convolution with same padding, ReLU, batch norm, then max pooling; then, where asked for, squeeze
// and excitation and the sum with an earlier block's output.
struct ConvBlock {
  // Output channels.
  int64_t filters = 0;
  // Edge and stride of the max pooling; 0 or 1 for none.
  int64_t pool = 0;
  // Squeeze and excitation (Hu, Shen and Sun, 2018): each channel is multiplied by a number between
  // 0 and 1, which two dense layers, filters / squeeze units wide in between, make from the means
  // of all channels. 0 for none.
  int64_t squeeze = 0;
  // The output of the block that many before this one is added to it (He et al., 2016), being of
  // the same shape. 0 for none.
  int64_t skip = 0;
  // Edges of the convolution's kernel, 1 to 11.
  int64_t kernel_height = 3;
  int64_t kernel_width = 3;
  // Pixels from one position of the kernel to the next, in both directions, 1 to 8.
  int64_t stride = 1;
  // The convolution is this many side by side, each from as many of the input channels to as many
  // of the filters; must divide both. As many as input channels is a depthwise convolution.
  int64_t groups = 1;

  // Before the image (edge - 1) / 2, after it edge / 2, whatever the stride: with an odd kernel the
  // first output lies at the first pixel.
  Padding padding() const;
  // Size of the convolution's output for such an input: ceil(pixels / stride).
  ImageShape ConvolvedShape(const ImageShape& block_input) const;
  // Size of the block's output: that after pooling.
  ImageShape OutputShape(const ImageShape& block_input) const;
  // Width of the hidden layer of squeeze and excitation.
  int64_t squeeze_units() const { return filters / squeeze; }
  friend bool operator==(const ConvBlock&, const ConvBlock&) = default;
};

struct Architecture {
  // The preset it was made from; a label, nothing depends on it.
  std::string name;
  ImageShape input;
  // Outputs of the network.
  int64_t classes = 0;
  std::vector<ConvBlock> conv_blocks;
  // Whether the dense layers get each channel's mean in place of the last block's whole output.
  bool average_features = false;
  // Widths of the hidden dense layers.
  std::vector<int64_t> dense_layers;
  // Fraction of units dropped after each hidden dense layer while training, 0 to below 1.
  double dropout = 0;
  // Added to the variance in every batch norm; Keras' default.
  double batch_norm_epsilon = 1e-3;

  // The network of that name in presets.h, for those images. kInvalidArgument if there is no such
  // preset or the result is not valid (see Validate).
  static absl::StatusOr<Architecture> FromPreset(absl::string_view preset, ImageShape input,
                                                 int64_t classes, double dropout);

  // Reads what ToJson wrote. kInvalidArgument if it is not JSON, a field is missing or of another
  // type, or the result is not valid.
  static absl::StatusOr<Architecture> FromJson(absl::string_view json);
  std::string ToJson() const;

  // kInvalidArgument naming the first field that is out of range, or the pooling that leaves no
  // pixels of the image.
  absl::Status Validate() const;

  // Size of what the dense layers get, flattened: the last block's output or its channels' means.
  // Requires a valid architecture, as do the counts.
  ImageShape FeatureShape() const;
  // Numbers that training changes by gradients.
  int64_t TrainableParameterCount() const;
  // Those and the batch-norm running means and variances.
  int64_t ParameterCount() const;

  friend bool operator==(const Architecture&, const Architecture&) = default;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_ARCHITECTURE_H_
