#include "models/network/architecture_cost.h"

namespace atelier::models {
namespace {

// Of the convolution alone; `input` is what the block gets.
int64_t ConvolutionMultiplyAdds(const ConvBlock& block, const ImageShape& input) {
  const int64_t each = input.channels / block.groups * block.kernel_height * block.kernel_width;
  return block.ConvolvedShape(input).size() * each;
}

}  // namespace

int64_t MultiplyAdds(const Architecture& architecture) {
  int64_t count = 0;
  ImageShape shape = architecture.input;
  for (const ConvBlock& block : architecture.conv_blocks) {
    count += ConvolutionMultiplyAdds(block, shape);
    if (block.squeeze > 0) count += 2 * block.filters * block.squeeze_units();
    shape = block.OutputShape(shape);
  }
  int64_t width = architecture.FeatureShape().size();
  for (const int64_t units : architecture.dense_layers) {
    count += width * units;
    width = units;
  }
  return count + width * architecture.classes;
}

}  // namespace atelier::models
