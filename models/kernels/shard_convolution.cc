#include "models/kernels/shard_convolution.h"

#include <algorithm>

#include "models/base/float_buffer.h"
#include "models/kernels/pair_convolution.h"
#include "models/kernels/pair_winograd.h"
#include "models/kernels/winograd.h"

namespace atelier::models {
namespace {

// The gradient by a convolution's input is a convolution too, with the weights transposed.
ConvolutionShape Back(const ConvolutionShape& shape) {
  return {shape.height, shape.width, shape.outputs, shape.inputs};
}

class WinogradShardConvolution : public ShardConvolution {
 public:
  WinogradShardConvolution(const PackedConvLayer& layer, const float* derived)
      : shape_(layer.shape),
        weights_(derived + layer.transformed),
        transposed_(derived + layer.transposed),
        tiles_at_once_(TilesAtOnce(shape_)),
        scratch_(std::max(WinogradScratch(shape_), WinogradScratch(Back(shape_)))),
        input_(kWinogradPlaces * WinogradMatrix(tiles_at_once_, shape_.inputs)),
        output_gradient_(kWinogradPlaces * WinogradMatrix(tiles_at_once_, shape_.outputs)),
        gradient_(kWinogradPlaces * shape_.inputs * shape_.outputs) {}

  void Forward(int64_t /*image*/, const float* padded_input, const float* bias,
               float* values) override {
    WinogradConvolve(shape_, padded_input, weights_, bias, Activation::kRelu, scratch_.data(),
                     values);
  }

  void AddToWeightGradient(int64_t image, int64_t last, const float* padded_input,
                           const float* padded_gradient, float* weight_gradient) override {
    if (image == 0) std::fill_n(gradient_.data(), gradient_.size(), 0.0F);
    const int64_t tiles = WinogradTiles(shape_);
    const int64_t row = image * tiles % tiles_at_once_;
    TransformInput(shape_, padded_input, tiles_at_once_, row, input_.data());
    TransformGradient(shape_, padded_gradient, tiles_at_once_, row, output_gradient_.data());
    if (row + tiles < tiles_at_once_ && image < last) return;
    AddTransformedGradient(shape_, tiles_at_once_, row + tiles, input_.data(),
                           output_gradient_.data(), gradient_.data());
    if (image == last) GradientOfWeights(shape_, gradient_.data(), weight_gradient);
  }

  void BackToInput(const float* padded_gradient, float* input_gradient) override {
    WinogradConvolve(Back(shape_), padded_gradient, transposed_, nullptr, Activation::kNone,
                     scratch_.data(), input_gradient);
  }

 private:
  // Tiles whose products are summed before the sum goes to memory: whole images, enough of them
  // that it goes seldom, few enough that they stay in the cache.
  static int64_t TilesAtOnce(const ConvolutionShape& shape) {
    const int64_t tiles = WinogradTiles(shape);
    return std::max<int64_t>(1, 100 / tiles) * tiles;
  }

  const ConvolutionShape shape_;
  const float* const weights_;
  const float* const transposed_;
  const int64_t tiles_at_once_;
  const FloatBuffer scratch_;
  // Of a few images, transformed, until their share of the weights' gradient is added.
  const FloatBuffer input_;
  const FloatBuffer output_gradient_;
  // By the transformed weights.
  const FloatBuffer gradient_;
};

class PairShardConvolution : public ShardConvolution {
 public:
  PairShardConvolution(const PackedConvLayer& layer, const float* derived, int64_t max_images)
      : shape_(layer.shape),
        weights_(PairsIn(derived, layer.transformed)),
        transposed_(PairsIn(derived, layer.transposed)),
        images_at_once_(std::max<int64_t>(1, 192 / PairGradientSteps(shape_))),
        inputs_(max_images * shape_.padded_size(shape_.inputs)),
        output_gradient_(shape_.padded_size(shape_.outputs)),
        transposed_inputs_(images_at_once_ * TransposedInputSize(shape_)),
        paired_gradients_(images_at_once_ * PairedGradientSize(shape_)) {}

  void Forward(int64_t image, const float* padded_input, const float* bias,
               float* values) override {
    RoundNumbers(shape_.padded_size(shape_.inputs), padded_input, Input(image));
    PairConvolve(shape_, Input(image), weights_, bias, Activation::kRelu, values);
  }

  void AddToWeightGradient(int64_t image, int64_t last, const float* /*padded_input*/,
                           const float* padded_gradient, float* weight_gradient) override {
    if (image == 0) std::fill_n(weight_gradient, 9 * shape_.inputs * shape_.outputs, 0.0F);
    const int64_t at = image % images_at_once_;
    TransposeInput(shape_, Input(image),
                   transposed_inputs_.data() + at * TransposedInputSize(shape_));
    PairGradient(shape_, padded_gradient,
                 paired_gradients_.data() + at * PairedGradientSize(shape_));
    if (at + 1 < images_at_once_ && image < last) return;
    AddPairWeightGradient(shape_, at + 1, transposed_inputs_.data(), paired_gradients_.data(),
                          weight_gradient);
  }

  void BackToInput(const float* padded_gradient, float* input_gradient) override {
    RoundNumbers(output_gradient_.size(), padded_gradient, output_gradient_.data());
    PairConvolve(Back(shape_), output_gradient_.data(), transposed_, nullptr, Activation::kNone,
                 input_gradient);
  }

 private:
  Bfloat16* Input(int64_t image) const {
    return inputs_.data() + image * shape_.padded_size(shape_.inputs);
  }

  const ConvolutionShape shape_;
  const Bfloat16* const weights_;
  const Bfloat16* const transposed_;
  const int64_t images_at_once_;
  // All images' padded inputs, rounded, and one gradient by the output.
  const NumberBuffer<Bfloat16> inputs_;
  const NumberBuffer<Bfloat16> output_gradient_;
  // Of a few images, until their share of the weights' gradient is added.
  const NumberBuffer<Bfloat16> transposed_inputs_;
  const NumberBuffer<Bfloat16> paired_gradients_;
};

// By pair_winograd.h.
class PairWinogradShardConvolution : public ShardConvolution {
 public:
  PairWinogradShardConvolution(const PackedConvLayer& layer, const float* derived)
      : shape_(layer.shape),
        weights_(PairsIn(derived, layer.transformed)),
        transposed_(PairsIn(derived, layer.transposed)),
        images_at_once_(std::max<int64_t>(1, 192 / PixelPairSteps(shape_))),
        image_(std::max(PairWinogradImage(shape_), PairWinogradImage(Back(shape_)))),
        products_(PairWinogradProducts(shape_)),
        inputs_(images_at_once_ * PixelPairsSize(shape_)),
        gradients_(images_at_once_ * GradientPairsSize(shape_)) {}

  void Forward(int64_t /*image*/, const float* padded_input, const float* bias,
               float* values) override {
    PairWinogradConvolve(shape_, padded_input, weights_, bias, Activation::kRelu, image_.data(),
                         products_.data(), values);
  }

  void AddToWeightGradient(int64_t image, int64_t last, const float* padded_input,
                           const float* padded_gradient, float* weight_gradient) override {
    if (image == 0) std::fill_n(weight_gradient, 9 * shape_.inputs * shape_.outputs, 0.0F);
    const int64_t at = image % images_at_once_;
    PairPixels(shape_, padded_input, inputs_.data() + at * PixelPairsSize(shape_));
    PairGradientPixels(shape_, padded_gradient, gradients_.data() + at * GradientPairsSize(shape_));
    if (at + 1 < images_at_once_ && image < last) return;
    AddPixelPairGradient(shape_, at + 1, inputs_.data(), gradients_.data(), weight_gradient);
  }

  void BackToInput(const float* padded_gradient, float* input_gradient) override {
    PairWinogradConvolve(Back(shape_), padded_gradient, transposed_, nullptr, Activation::kNone,
                         image_.data(), products_.data(), input_gradient);
  }

 private:
  const ConvolutionShape shape_;
  const Bfloat16* const weights_;
  const Bfloat16* const transposed_;
  const int64_t images_at_once_;
  const NumberBuffer<Bfloat16> image_;
  const FloatBuffer products_;
  // Of a few images, until their share of the weights' gradient is added.
  const NumberBuffer<Bfloat16> inputs_;
  const NumberBuffer<Bfloat16> gradients_;
};

}  // namespace

std::unique_ptr<ShardConvolution> ShardConvolution::Create(const PackedConvLayer& layer,
                                                           Precision precision,
                                                           const float* derived,
                                                           int64_t max_images) {
  if (precision == Precision::kFloat32) {
    return std::make_unique<WinogradShardConvolution>(layer, derived);
  }
  if (PairsAreTransformed()) return std::make_unique<PairWinogradShardConvolution>(layer, derived);
  return std::make_unique<PairShardConvolution>(layer, derived, max_images);
}

}  // namespace atelier::models
