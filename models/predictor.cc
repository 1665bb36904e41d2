#include "models/predictor.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/exception_guard.h"
#include "models/failure.h"
#include "models/libtorch_jit.h"
#include "models/network.h"
#include "models/torchscript.h"

namespace atelier::models {
namespace {

// How far probabilities may be from what the TorchScript module answers.
constexpr double kTolerance = 1e-4;

// The module's tensors, in the order of TensorSpecsOf.
absl::StatusOr<std::vector<at::Tensor>> TensorsOf(const torch::jit::Module& module,
                                                  const Architecture& architecture) {
  std::vector<at::Tensor> tensors;
  for (const TensorSpec& spec : TensorSpecsOf(architecture)) {
    const std::string name = TorchScriptName(spec.name);
    if (!module.hasattr(name) || !module.attr(name).isTensor()) {
      return absl::InternalError(absl::StrCat("model.pt has no tensor ", name));
    }
    const at::Tensor tensor = module.attr(name).toTensor();
    if (tensor.scalar_type() != at::kFloat || tensor.sizes() != at::IntArrayRef(spec.shape)) {
      return absl::InternalError(
          absl::StrCat("the tensor ", name, " of model.pt has another shape or type"));
    }
    tensors.push_back(tensor.detach().contiguous());
  }
  return tensors;
}

// Images to try a network on: every pixel value comes up.
std::vector<uint8_t> TrialPixels(const ImageShape& shape, int64_t count) {
  std::vector<uint8_t> pixels(static_cast<size_t>(count * shape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(37 * i);
  return pixels;
}

}  // namespace

class Predictor::Impl {
 public:
  Impl(ModelArchive archive, std::vector<at::Tensor> tensors)
      : archive_(std::move(archive)), tensors_(std::move(tensors)) {}

  // N×classes probabilities.
  at::Tensor Probabilities(const at::Tensor& images) const {
    UseOneTorchThread();
    const at::InferenceMode inference;
    return at::softmax(InferenceLogits(archive_.architecture, tensors_, images), 1).contiguous();
  }

  template <typename Pixel>
  absl::StatusOr<std::vector<float>> Classify(absl::Span<const Pixel> pixels) const {
    const ImageShape& shape = archive_.architecture.input;
    const auto size = static_cast<size_t>(shape.size());
    if (pixels.empty() || pixels.size() % size != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are ", pixels.size(), " pixel values; an image of this model has ",
                       size, " (", shape.channels, "x", shape.height, "x", shape.width, ")"));
    }
    return GuardExceptions("classifying", [&]() -> absl::StatusOr<std::vector<float>> {
      const at::Tensor answer = Probabilities(ImagesTensor(archive_.architecture, pixels));
      const float* values = answer.data_ptr<float>();
      return std::vector<float>(values, values + answer.numel());
    });
  }

  // Checks that the module answers as its tensors do in our network.
  absl::Status CompareWith(torch::jit::Module& module) const {
    UseOneTorchThread();
    const at::InferenceMode inference;
    const at::Tensor images = ImagesTensor(
        archive_.architecture, absl::MakeConstSpan(TrialPixels(archive_.architecture.input, 2)));
    const at::Tensor answer = module.forward({images}).toTensor();
    const at::Tensor ours = Probabilities(images);
    if (answer.sizes() == ours.sizes() && at::allclose(answer, ours, 0, kTolerance)) {
      return absl::OkStatus();
    }
    return absl::InternalError("model.pt does not answer as the network in metadata.json does");
  }

  // Constant after construction.
  const ModelArchive archive_;
  const std::vector<at::Tensor> tensors_;
};

Predictor::Predictor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Predictor::~Predictor() = default;

absl::StatusOr<std::unique_ptr<const Predictor>> Predictor::Load(const std::string& archive_path,
                                                                 const Options& options) {
  absl::StatusOr<ModelArchive> archive = ReadModelArchive(archive_path);
  if (!archive.ok()) return archive.status();
  const auto load = [&]() -> absl::StatusOr<std::unique_ptr<const Predictor>> {
    std::istringstream bytes(std::exchange(archive->model_pt, {}));
    torch::jit::Module module = torch::jit::load(bytes);
    module.eval();
    absl::StatusOr<std::vector<at::Tensor>> tensors = TensorsOf(module, archive->architecture);
    if (!tensors.ok()) return tensors.status();
    auto impl = std::make_unique<Impl>(*std::move(archive), *std::move(tensors));
    if (absl::Status status = impl->CompareWith(module); !status.ok()) return status;
    for (const int64_t size : options.warm_batch_sizes) {
      const std::vector<uint8_t> pixels = TrialPixels(impl->archive_.architecture.input, size);
      if (auto answer = impl->Classify(absl::MakeConstSpan(pixels)); !answer.ok()) {
        return answer.status();
      }
    }
    return std::unique_ptr<const Predictor>(new Predictor(std::move(impl)));
  };
  absl::StatusOr<std::unique_ptr<const Predictor>> predictor =
      GuardExceptions("loading the network", load);
  if (predictor.ok()) return predictor;
  return Failure(ReasonOf(predictor.status()),
                 absl::StrCat("cannot use the model archive ", archive_path, ": ",
                              predictor.status().message()));
}

const ImageShape& Predictor::input_shape() const { return impl_->archive_.architecture.input; }

const std::vector<std::string>& Predictor::class_names() const {
  return impl_->archive_.class_names;
}

const Architecture& Predictor::architecture() const { return impl_->archive_.architecture; }

const std::string& Predictor::metadata_json() const { return impl_->archive_.metadata_json; }

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const float> images) const {
  for (const float value : images) {
    if (std::isfinite(value)) continue;
    return absl::InvalidArgumentError("a pixel is NaN or infinite; pixels are 0 to 1");
  }
  return impl_->Classify(images);
}

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const uint8_t> images) const {
  return impl_->Classify(images);
}

}  // namespace atelier::models
