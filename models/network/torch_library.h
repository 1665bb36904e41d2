// What LibTorch does for models/. LibTorch and what it draws in take half a second to load, so the
// code that includes it (models/torch) is a shared library, libatelier_torch.so, which is opened
// when something needs it first (decision 164). Private to models/, but for Hold. Thread-safe.
#ifndef ATELIER_MODELS_NETWORK_TORCH_LIBRARY_H_
#define ATELIER_MODELS_NETWORK_TORCH_LIBRARY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/float_buffer.h"
#include "models/base/image_shape.h"
#include "models/base/pixel_span.h"
#include "models/data/dataset.h"
#include "models/network/device.h"
#include "models/network/inference_network.h"
#include "models/network/shard_network.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"

namespace atelier::models {

// What a block of a network makes of an image.
struct BlockOutput {
  ImageShape shape;
  // C×H×W.
  std::vector<float> values;
};

// What a block of a network contributes to a class's logit: its feature maps, and the logit's
// gradient by them.
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

// Methods throw std::bad_alloc and what LibTorch throws. Where they compute at once, they do so on
// the calling thread alone.
class TorchLibrary {
 public:
  // Loads it if need be. Throws std::runtime_error naming the file if it cannot be loaded.
  static const TorchLibrary& Get();

  // Opens the file, without loading it: a process that runs for long loads that one, even if an
  // upgrade has put another in its place. For a program's main, before other threads start.
  // kFailedPrecondition naming the file if it cannot be opened.
  static absl::Status Hold();

  // The network on the device. Requires a valid model.
  virtual std::unique_ptr<const InferenceNetwork> Compile(const TrainedModel& model,
                                                          Device device) const = 0;

  // A shard's passes through any network in any precision on any device. Weights lie in the order
  // of TensorSpecsOf. Images and parameters must outlive it; of these there may be more than the
  // network has, as the optimizer wants.
  virtual std::unique_ptr<ShardNetwork> MakeShard(const TrainingOptions& options,
                                                  const LabeledImages& images,
                                                  const FloatBuffer& parameters) const = 0;

  // The bytes of a model.pt (torchscript.h). Requires a valid model.
  virtual std::string SerializeTorchScript(const TrainedModel& model) const = 0;

  // The network whose tensors a model.pt holds. kInternal naming the tensor that is missing or of
  // another shape or type than the architecture's.
  virtual absl::StatusOr<TrainedModel> ParseTorchScript(const std::string& bytes,
                                                        const Architecture& architecture) const = 0;

  // What a model.pt and a model.onnx answer: N×classes, of images N×C×H×W in [0,1].
  virtual std::vector<float> RunTorchScript(const std::string& bytes, const ImageShape& shape,
                                            absl::Span<const float> images) const = 0;
  virtual std::vector<float> RunOnnx(const std::string& bytes, const ImageShape& shape,
                                     absl::Span<const float> images) const = 0;

  // What all blocks make of an image, first block first, from the weights as they were trained.
  // Requires a valid model and the pixels of one image of its size.
  virtual std::vector<BlockOutput> RunBlocks(const TrainedModel& model,
                                             const PixelSpan& image) const = 0;

  // Of one image, for the class `target` or, without one, the most probable class. Requires as
  // RunBlocks does, a block from 1 to the number of the network's convolutions and one of its
  // classes.
  virtual BlockGradient GradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                                   std::optional<int64_t> target) const = 0;

  virtual bool HasGpu() const = 0;

 protected:
  ~TorchLibrary() = default;
};

// Of the function by which the shared library gives its own, and its type.
inline constexpr char kTorchLibraryEntry[] = "AtelierTorchLibrary";
using TorchLibraryEntry = const TorchLibrary* (*)();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_TORCH_LIBRARY_H_
