// A shard's pass by our own kernels: every layer's forward and backward written out, in
// memory that is allocated once. Convolutions are done image by image, and what follows them
// (statistics, normalisation, pooling, their gradients) while the image is still in the cache. The
// same network by LibTorch is TorchShard; tests compare the two.
#ifndef ATELIER_MODELS_KERNELS_PACKED_SHARD_H_
#define ATELIER_MODELS_KERNELS_PACKED_SHARD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "models/base/float_buffer.h"
#include "models/data/dataset.h"
#include "models/kernels/packed_head.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/shard_convolution.h"
#include "models/kernels/squeeze_excitation.h"
#include "models/network/shard_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

class PackedShard : public ShardNetwork {
 public:
  // For up to `max_images` images at a time. Layout, images, parameters and transposed weights (in
  // that layout) must outlive it. Throws std::logic_error unless the kernels cover the options'
  // network in their precision on their device (KernelsCoverTraining).
  PackedShard(const TrainingOptions& options, const PackedLayout& layout,
              const LabeledImages& images, const float* parameters, const float* derived,
              int64_t max_images);

  PassResult Run(absl::Span<const int32_t> indices, int64_t batch, RandomStream& random) override;
  const float* gradients() const override { return gradients_.data(); }
  absl::Span<float> statistics() override { return absl::MakeSpan(statistics_); }

 private:
  // A convolution block's numbers for all images of the shard.
  struct ConvState {
    ConvState(const PackedConvLayer& layer, int64_t max_images, bool last);

    // Padded input.
    FloatBuffer input;
    // After ReLU; of a few rows where they are computed again.
    FloatBuffer values;
    // See NormalizeAndPool; empty without pooling.
    FloatBuffer winners;
    // Of the pooled output; empty for the last block.
    FloatBuffer gradient;
    // One image's gradient by the convolution's output, with border.
    FloatBuffer output_gradient;
    // Null for a layer that is computed the plain way.
    std::unique_ptr<ShardConvolution> convolution;
    // By channel: sums of the pass, forward or backward, and what follows from them.
    std::vector<double> sums;
    std::vector<double> products;
    std::vector<double> mean;
    std::vector<double> inverse_deviation;
    FloatBuffer scale;
    FloatBuffer shift;
    FloatBuffer slope;
    FloatBuffer offset;
    // Between pooling and the block's output, where the network has it.
    std::optional<SqueezeExcitation> squeeze;
  };

  // Some rows of a block's values after ReLU.
  struct Rows {
    int64_t first;
    PoolShape shape;  // With their number as height.
    const float* values;

    // Where what is pooled of them begins: in the block's map, and in one without border.
    int64_t map_offset() const { return first / shape.pool * shape.pooled_row_stride; }
    int64_t pooled_offset() const {
      return first / shape.pool * shape.pooled_width() * shape.channels;
    }
  };

  void LoadImages(absl::Span<const int32_t> indices, RandomStream& random);
  void ConvForward(size_t i);
  // Computes block i's values from row `first` on.
  void Convolve(size_t i, int64_t image, int64_t first, int64_t rows, float* values);
  // Calls use(Rows) for block i's values in order, as they were or computed again.
  template <typename Use>
  void ForEachRows(size_t i, int64_t image, const Use& use);
  // Where block i's output belongs: the next block's input, or what the features are made of.
  float* Output(size_t i, int64_t image);
  // What normalisation and pooling gave: the output, or what squeeze and excitation gets.
  float* Map(size_t i, int64_t image);
  // The gradients by these.
  const float* OutputGradient(size_t i, int64_t image);
  const float* MapGradient(size_t i, int64_t image);
  // From block i's values to its output.
  void FinishImage(size_t i, int64_t image);
  // From the last block's output to its channels' means, and the way back.
  void AverageFeatures();
  void SpreadFeatureGradients();
  // From sums to scale and shift, and the pass' statistics.
  void FinishStatistics(size_t i);
  // Adds an image's share to the sums that block i's normalisation needs before its backward.
  void AddGradientSums(size_t i, int64_t image);
  void FinishGradientSums(size_t i);
  void ConvBackward(size_t i);
  void BackThroughConvolution(size_t i, int64_t image);

  const PackedLayout& layout_;
  const LabeledImages& images_;
  const float* const parameters_;
  const float* const derived_;
  const double epsilon_;
  const Augmentation augmentation_;
  const ImageShape input_shape_;

  int64_t count_ = 0;
  // One image, augmented.
  std::vector<uint8_t> augmented_;
  FloatBuffer gradients_;
  std::vector<float> statistics_;
  std::vector<ConvState> conv_;
  // The last block's output where only its means go on, and its gradient.
  FloatBuffer last_output_;
  FloatBuffer last_gradient_;
  ChannelMeans average_;
  PackedHead head_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PACKED_SHARD_H_
