#include "models/archive/predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "models/archive/model_archive.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/compute/compile.h"
#include "models/network/torch_library.h"

namespace atelier::models {
namespace {

// How far probabilities may be from what model.pt answers.
constexpr float kTolerance = 1e-4F;

constexpr int64_t kTrialImages = 32;
// Of those, what model.pt has to answer: its first calls are slow.
constexpr int64_t kComparedImages = 2;

// Images to try a network on: every pixel value comes up.
std::vector<float> TrialPixels(const ImageShape& shape) {
  std::vector<float> pixels(static_cast<size_t>(kTrialImages * shape.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(37 * i % 256) / 255.0F;
  return pixels;
}

// What a network makes of the trial pixels. This is its warm-up, too: the largest batch it has
// memory for runs once.
std::vector<float> Try(const InferenceNetwork& network, absl::Span<const float> pixels) {
  std::vector<float> answers(static_cast<size_t>(kTrialImages * network.classes()));
  const PixelSpan part = pixels;
  network.Run(absl::MakeConstSpan(&part, 1), answers.data());
  return answers;
}

// That model.pt answers as the network does in float32 on the processor, whatever it is to classify
// with.
absl::Status CheckTorchScript(const TrainedModel& model, const std::string& model_pt,
                              PathChoice path_choice, absl::Span<const float> trial) {
  const auto network = Compile(model, {Precision::kFloat32, Device::kCpu, path_choice});
  std::vector<float> ours = Try(*network, trial);
  ours.resize(static_cast<size_t>(kComparedImages * network->classes()));
  const ImageShape& shape = network->input_shape();
  const std::vector<float> answers = TorchLibrary::Get().RunTorchScript(
      model_pt, shape, trial.first(static_cast<size_t>(kComparedImages * shape.size())));
  const auto near = [](float one, float other) { return std::abs(one - other) <= kTolerance; };
  if (std::equal(ours.begin(), ours.end(), answers.begin(), answers.end(), near)) {
    return absl::OkStatus();
  }
  return absl::InternalError("model.pt does not answer as the network in metadata.json does");
}

absl::StatusOr<std::unique_ptr<const InferenceNetwork>> MakeReady(const ModelArchive& archive,
                                                                  Device device,
                                                                  PathChoice path_choice) {
  const absl::StatusOr<TrainedModel> model = TrainedModelOf(archive);
  if (!model.ok()) return model.status();
  const std::vector<float> trial = TrialPixels(archive.architecture.input);
  // With model.onnx came the check of both files before they are stored (export_check.h).
  if (archive.model_onnx.empty()) {
    const absl::Status alike = CheckTorchScript(*model, archive.model_pt, path_choice, trial);
    if (!alike.ok()) return alike;
  }
  auto network =
      Compile(*model, {archive.serving_precision, device, path_choice, archive.product_rounding});
  Try(*network, trial);
  return network;
}

}  // namespace

class Predictor::Impl {
 public:
  Impl(ModelArchive archive, std::unique_ptr<const InferenceNetwork> compiled)
      : architecture(std::move(archive.architecture)),
        class_names(std::move(archive.class_names)),
        metadata_json(std::move(archive.metadata_json)),
        temperature(archive.temperature),
        network(std::move(compiled)) {}

  const Architecture architecture;
  const std::vector<std::string> class_names;
  const std::string metadata_json;
  const std::optional<double> temperature;
  const std::unique_ptr<const InferenceNetwork> network;
};

Predictor::Predictor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Predictor::~Predictor() = default;

absl::StatusOr<std::unique_ptr<const Predictor>> Predictor::Load(const std::string& archive_path,
                                                                 Device device,
                                                                 PathChoice path_choice) {
  absl::StatusOr<ModelArchive> archive = ReadModelArchive(archive_path);
  if (!archive.ok()) return archive.status();
  const auto load = [&]() -> absl::StatusOr<std::unique_ptr<const Predictor>> {
    auto network = MakeReady(*archive, device, path_choice);
    if (!network.ok()) return network.status();
    auto impl = std::make_unique<Impl>(*std::move(archive), *std::move(network));
    return std::unique_ptr<const Predictor>(new Predictor(std::move(impl)));
  };
  absl::StatusOr<std::unique_ptr<const Predictor>> predictor =
      GuardExceptions("loading the network", load);
  if (predictor.ok()) return predictor;
  return Failure(ReasonOf(predictor.status()),
                 absl::StrCat("cannot use the model archive ", archive_path, ": ",
                              predictor.status().message()));
}

const ImageShape& Predictor::input_shape() const { return impl_->architecture.input; }

const std::vector<std::string>& Predictor::class_names() const { return impl_->class_names; }

const Architecture& Predictor::architecture() const { return impl_->architecture; }

const std::string& Predictor::metadata_json() const { return impl_->metadata_json; }

std::optional<double> Predictor::temperature() const { return impl_->temperature; }

Precision Predictor::precision() const { return impl_->network->precision(); }

int64_t Predictor::memory_bytes() const { return impl_->network->memory_bytes(); }

ComputePath Predictor::path() const { return impl_->network->path(); }

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const float> images) const {
  for (const float value : images) {
    if (std::isfinite(value)) continue;
    return absl::InvalidArgumentError("a pixel is NaN or infinite; pixels are 0 to 1");
  }
  return Classify({PixelSpan(images)});
}

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const uint8_t> images) const {
  return Classify({PixelSpan(images)});
}

absl::StatusOr<std::vector<float>> Predictor::Classify(absl::Span<const PixelSpan> parts) const {
  const ImageShape& shape = impl_->architecture.input;
  const auto size = static_cast<size_t>(shape.size());
  size_t pixels = 0;
  for (const PixelSpan& part : parts) {
    const size_t here = std::visit([](const auto& span) { return span.size(); }, part);
    if (here == 0 || here % size != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are ", here, " pixel values; an image of this model has ", size, " (",
                       shape.channels, "x", shape.height, "x", shape.width, ")"));
    }
    pixels += here;
  }
  return GuardExceptions("classifying", [&]() -> absl::StatusOr<std::vector<float>> {
    std::vector<float> probabilities(pixels / size *
                                     static_cast<size_t>(impl_->architecture.classes));
    impl_->network->Run(parts, probabilities.data());
    return probabilities;
  });
}

}  // namespace atelier::models
