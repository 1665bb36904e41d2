// A network made ready to classify: weights packed for the kernels once, every batch norm folded to
// one multiplication and addition per channel, done while pooling. Runs any number of images at
// once without preparing anything, so no batch size is special and none has to be padded: images go
// through the convolutions one by one, while their feature maps stay in the cache, and through the
// dense layers together. No LibTorch. Immutable, hence thread-safe: each call computes on its own
// thread alone, in memory that calls hand on to each other.
#ifndef ATELIER_MODELS_KERNELS_INFERENCE_PROGRAM_H_
#define ATELIER_MODELS_KERNELS_INFERENCE_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "models/base/float_buffer.h"
#include "models/kernels/packed_layout.h"
#include "models/kernels/squeeze_excitation.h"
#include "models/network/inference_network.h"
#include "models/network/trained_model.h"

namespace atelier::models {

class InferenceProgram : public InferenceNetwork {
 public:
  // In bfloat16 the dense layers' weights are kept so, which are most of them where the last
  // feature map is large: half as much has to be read for a request of one image. Convolutions'
  // weights, read for every image, and all sums are float32, so every processor can. With
  // `product_rounding`, where the machine multiplies bfloat16 faster in this way
  // (FastestProductRounding), all weights but those of a plain first convolution are bfloat16, and
  // so is what they are multiplied with; sums are float32. Requires a valid model. Throws
  // std::bad_alloc, and std::logic_error if the kernels do not cover its architecture
  // (KernelsCoverInference).
  explicit InferenceProgram(const TrainedModel& model, Precision precision = Precision::kFloat32,
                            ProductRounding product_rounding = ProductRounding::kNone);

  // Throws std::bad_alloc.
  void Run(absl::Span<const PixelSpan> parts, float* probabilities) const override;
  int64_t memory_bytes() const override;
  Precision precision() const override { return precision_; }
  ProductRounding product_rounding() const override { return product_rounding_; }
  ComputePath path() const override { return ComputePath::kKernels; }

 private:
  bool rounds_products() const { return product_rounding_ != ProductRounding::kNone; }

  using PackedWeights = std::variant<FloatBuffer, NumberBuffer<Bfloat16>>;
  struct DenseLayer {
    PackedWeights weights;
    FloatBuffer bias;
  };

  // What one call writes to.
  struct Workspace {
    explicit Workspace(const PackedLayout& layout);
    // Of each convolution: its input, with a border that stays zero, and its output.
    std::vector<FloatBuffer> inputs;
    std::vector<FloatBuffer> outputs;
    // Of winograd.h.
    FloatBuffer scratch;
    // What is multiplied next, where it is rounded: an image's input or the rows of a dense layer.
    NumberBuffer<Bfloat16> rounded;
    // By convolution, where the network has it.
    std::vector<std::optional<SqueezeExcitation>> squeezes;
    // The last convolution's output where only its channels' means go on.
    FloatBuffer last_output;
    ChannelMeans average;
    // What pooling tells besides and nobody asks for.
    FloatBuffer winners;
    // What the dense layers get, and what they give: a row an image.
    FloatBuffer features;
    std::vector<FloatBuffer> dense;
  };

  // From the weights as the layout has them.
  PackedWeights PackConvolution(const PackedConvLayer& layer, const float* packed) const;
  PackedWeights PackDense(const PackedDenseLayer& layer, const float* packed) const;
  std::unique_ptr<Workspace> TakeWorkspace() const;
  void ReturnWorkspace(std::unique_ptr<Workspace> workspace) const;
  // Where convolution i's output belongs: the next one's input, or what the features are made of.
  float* Output(Workspace& workspace, size_t i, int64_t image) const;
  // From what convolution i gave to that.
  void Finish(Workspace& workspace, size_t i, int64_t image) const;
  // Convolution i of the workspace's image, with bias and ReLU.
  void Convolve(Workspace& workspace, size_t i) const;
  // One image's features, from its pixels.
  void Convolutions(Workspace& workspace, int64_t image) const;
  // Dense layer i of so many rows.
  void Multiply(Workspace& workspace, size_t i, int64_t rows, const float* from) const;
  // Probabilities of the first `count` images of the workspace.
  void Dense(Workspace& workspace, int64_t count, float* probabilities) const;
  // Where an image's pixels have to be before Convolutions, or Dense if there are none.
  float* Input(Workspace& workspace, int64_t image) const;

  // Constant after construction.
  const Precision precision_;
  const ProductRounding product_rounding_;
  const PackedLayout layout_;
  // As the layout has them up to the dense layers; scale and shift are those of the folded batch
  // norms.
  FloatBuffer parameters_;
  // By convolution, as winograd.h or, in bfloat16, pair_products.h wants them; empty where it is
  // computed the plain way.
  std::vector<PackedWeights> convolutions_;
  std::vector<DenseLayer> dense_;

  // As many as calls were running at once so far.
  mutable absl::Mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_INFERENCE_PROGRAM_H_
