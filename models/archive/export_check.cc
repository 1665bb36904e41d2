#include "models/archive/export_check.h"

#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "absl/strings/str_format.h"
#include "models/archive/model_archive.h"
#include "models/archive/onnx_runner.h"
#include "models/base/compute_thread.h"
#include "models/base/exception_guard.h"
#include "models/compute/compile.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"

namespace atelier::models {
namespace {

at::Tensor NetworkAnswers(const TrainedModel& model, absl::Span<const uint8_t> images,
                          int64_t count) {
  const auto network = Compile(model);
  at::Tensor answers = at::empty({count, network->classes()}, at::kFloat);
  const PixelSpan part = images;
  network->Run(absl::MakeConstSpan(&part, 1), answers.data_ptr<float>());
  return answers;
}

at::Tensor TorchScriptAnswers(const std::string& bytes, const at::Tensor& images) {
  std::istringstream stream(bytes);
  torch::jit::Module module = torch::jit::load(stream);
  module.eval();
  return module.forward({images}).toTensor();
}

at::Tensor OnnxAnswers(const std::string& bytes, const at::Tensor& images) {
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) throw std::runtime_error("model.onnx cannot be parsed");
  return OnnxRunner(model).Run(images);
}

// Infinite for answers of another shape, and where one of two numbers is none.
double Difference(const at::Tensor& one, const at::Tensor& other) {
  if (one.sizes() != other.sizes()) return std::numeric_limits<double>::infinity();
  const double difference = (one - other).abs().max().item<double>();
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

absl::Status CheckDifference(absl::string_view file, absl::string_view other, double difference,
                             int64_t count) {
  if (difference <= kExportTolerance) return absl::OkStatus();
  return Failure(FailureReason::kInternal,
                 absl::StrFormat("%s does not answer as %s: on %d images a probability differs by "
                                 "%.2g, at most %.2g is rounding",
                                 file, other, count, difference, kExportTolerance));
}

}  // namespace

absl::StatusOr<ExportDifferences> CheckExports(const TrainedModel& model,
                                               const std::string& archive_path,
                                               absl::Span<const uint8_t> images) {
  const absl::StatusOr<ModelArchive> archive = ReadModelArchive(archive_path);
  if (!archive.ok()) return archive.status();
  return GuardExceptions("checking the model files", [&]() -> absl::StatusOr<ExportDifferences> {
    UseOneTorchThread();
    const at::InferenceMode inference;
    const at::Tensor batch = ImagesTensor(PlanOf(model.architecture), images).contiguous();
    const int64_t count = batch.size(0);
    const at::Tensor script = TorchScriptAnswers(archive->model_pt, batch);
    const ExportDifferences found = {Difference(script, NetworkAnswers(model, images, count)),
                                     Difference(OnnxAnswers(archive->model_onnx, batch), script)};
    if (auto status = CheckDifference("model.pt", "the network", found.torchscript, count);
        !status.ok()) {
      return status;
    }
    if (auto status = CheckDifference("model.onnx", "model.pt", found.onnx, count); !status.ok()) {
      return status;
    }
    return found;
  });
}

}  // namespace atelier::models
