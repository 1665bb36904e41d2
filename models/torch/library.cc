// What libatelier_torch.so gives to the program that opens it (torch_library.h).
#include <onnx/onnx_pb.h>

#include <sstream>
#include <stdexcept>

#include "models/network/torch_library.h"
#include "models/torch/blocks.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"
#include "models/torch/onnx_runner.h"
#include "models/torch/torch_program.h"
#include "models/torch/torch_shard.h"
#include "models/torch/torchscript.h"

namespace atelier::models {
namespace {

// A view of them.
at::Tensor TensorOf(const ImageShape& shape, absl::Span<const float> images) {
  const int64_t count = static_cast<int64_t>(images.size()) / shape.size();
  return at::from_blob(const_cast<float*>(images.data()),
                       {count, shape.channels, shape.height, shape.width}, at::kFloat);
}

class Library final : public TorchLibrary {
 public:
  std::unique_ptr<const InferenceNetwork> Compile(const TrainedModel& model,
                                                  Device device) const override {
    return std::make_unique<const TorchProgram>(model, device);
  }

  std::unique_ptr<ShardNetwork> MakeShard(const TrainingOptions& options,
                                          const LabeledImages& images,
                                          const FloatBuffer& parameters) const override {
    return MakeTorchShard(options, images, parameters);
  }

  std::string SerializeTorchScript(const TrainedModel& model) const override {
    return models::SerializeTorchScript(model);
  }

  absl::StatusOr<TrainedModel> ParseTorchScript(const std::string& bytes,
                                                const Architecture& architecture) const override {
    std::istringstream stream(bytes);
    return TensorsIn(torch::jit::load(stream), architecture);
  }

  std::vector<float> RunTorchScript(const std::string& bytes, const ImageShape& shape,
                                    absl::Span<const float> images) const override {
    UseOneTorchThread();
    const at::InferenceMode inference;
    std::istringstream stream(bytes);
    torch::jit::Module module = torch::jit::load(stream);
    module.eval();
    return NumbersOf(module.forward({TensorOf(shape, images)}).toTensor());
  }

  std::vector<float> RunOnnx(const std::string& bytes, const ImageShape& shape,
                             absl::Span<const float> images) const override {
    UseOneTorchThread();
    const at::InferenceMode inference;
    onnx::ModelProto model;
    if (!model.ParseFromString(bytes)) throw std::runtime_error("model.onnx cannot be parsed");
    return NumbersOf(OnnxRunner(model).Run(TensorOf(shape, images)));
  }

  std::vector<BlockOutput> RunBlocks(const TrainedModel& model,
                                     const PixelSpan& image) const override {
    return models::RunBlocks(model, image);
  }

  BlockGradient GradientOf(const TrainedModel& model, const PixelSpan& image, int64_t block,
                           std::optional<int64_t> target) const override {
    return models::GradientOf(model, image, block, target);
  }

  bool HasGpu() const override { return at::detail::getCUDAHooks().getNumGPUs() > 0; }
};

}  // namespace
}  // namespace atelier::models

extern "C" const atelier::models::TorchLibrary* AtelierTorchLibrary() {
  static const atelier::models::Library library;
  return &library;
}
