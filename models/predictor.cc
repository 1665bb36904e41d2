#include "models/predictor.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/exception_guard.h"
#include "models/failure.h"
#include "models/libtorch_jit.h"
#include "models/network.h"

namespace atelier::models {
namespace {

// How far the optimised network may be from the stored one before it is not used.
constexpr double kTolerance = 1e-4;

// One pass. The graph is run as it stands: LibTorch's profiling executor would compile it anew, for
// seconds, whenever a batch of another size comes, and gains nothing on a frozen network.
at::Tensor Infer(torch::jit::Module& module, const at::Tensor& images) {
  UseOneTorchThread();
  const at::InferenceMode inference;
  const torch::jit::GraphOptimizerEnabledGuard as_it_stands(false);
  return module.forward({images}).toTensor();
}

// Images to try a network on: every pixel value comes up.
at::Tensor TrialImages(const ImageShape& shape, int64_t count) {
  const at::Tensor values = at::arange(count * shape.size(), at::kFloat).mul(37).remainder(256);
  return values.div(255).view({count, shape.channels, shape.height, shape.width});
}

// The module, faster if LibTorch manages that without changing what it answers.
torch::jit::Module OptimizedIfSame(const torch::jit::Module& stored, const ImageShape& shape) {
  torch::jit::Module original = stored;
  const at::Tensor images = TrialImages(shape, 2);
  const at::Tensor expected = Infer(original, images);
  try {
    torch::jit::Module fast = torch::jit::freeze(stored);
    fast = torch::jit::optimize_for_inference(fast);
    if (at::allclose(Infer(fast, images), expected, 0, kTolerance)) return fast;
  } catch (const std::exception&) {
    // An operation it cannot optimise: the stored module serves as well.
  }
  return original;
}

}  // namespace

class Predictor::Impl {
 public:
  Impl(ModelArchive archive, torch::jit::Module module)
      : archive_(std::move(archive)), module_(std::move(module)) {}

  // Answers for float images, N×C×H×W.
  absl::StatusOr<std::vector<float>> Classify(const at::Tensor& images) const {
    // A module's forward is not const, but it changes nothing.
    const at::Tensor answer = Infer(module_, images).contiguous();
    if (answer.scalar_type() != at::kFloat || answer.dim() != 2 ||
        answer.size(0) != images.size(0) || answer.size(1) != archive_.architecture.classes) {
      return absl::InternalError("the network did not answer with a probability per class");
    }
    const float* values = answer.data_ptr<float>();
    return std::vector<float>(values, values + answer.numel());
  }

  absl::StatusOr<int64_t> CountImages(size_t numbers) const {
    const auto size = static_cast<size_t>(archive_.architecture.input.size());
    if (numbers > 0 && numbers % size == 0) return static_cast<int64_t>(numbers / size);
    const ImageShape& shape = archive_.architecture.input;
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", numbers, " pixel values; an image of this model has ", size,
                     " (", shape.channels, "x", shape.height, "x", shape.width, ")"));
  }

  at::Tensor EmptyBatch(int64_t count) const {
    const ImageShape& shape = archive_.architecture.input;
    return at::empty({count, shape.channels, shape.height, shape.width}, at::kFloat);
  }

  const ModelArchive archive_;
  mutable torch::jit::Module module_;
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
    const ImageShape shape = archive->architecture.input;
    if (options.optimize) module = OptimizedIfSame(module, shape);
    auto impl = std::make_unique<Impl>(*std::move(archive), std::move(module));
    for (const int64_t size : options.warm_batch_sizes) {
      absl::StatusOr<std::vector<float>> answer = impl->Classify(TrialImages(shape, size));
      if (!answer.ok()) return answer.status();
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
  absl::StatusOr<int64_t> count = impl_->CountImages(images.size());
  if (!count.ok()) return count.status();
  return GuardExceptions("classifying", [&]() -> absl::StatusOr<std::vector<float>> {
    at::Tensor batch = impl_->EmptyBatch(*count);
    float* to = batch.data_ptr<float>();
    for (const float value : images) {
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError("a pixel is NaN or infinite; pixels are 0 to 1");
      }
      *to++ = value;
    }
    return impl_->Classify(batch);
  });
}

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const uint8_t> images) const {
  absl::StatusOr<int64_t> count = impl_->CountImages(images.size());
  if (!count.ok()) return count.status();
  return GuardExceptions("classifying", [&] {
    at::Tensor batch = impl_->EmptyBatch(*count);
    float* to = batch.data_ptr<float>();
    for (const uint8_t value : images) *to++ = static_cast<float>(value) / 255.0F;
    return impl_->Classify(batch);
  });
}

}  // namespace atelier::models
