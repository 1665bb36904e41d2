#include "models/archive/export_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_format.h"
#include "models/archive/model_archive.h"
#include "models/base/exception_guard.h"
#include "models/base/pixel_span.h"
#include "models/compute/compile.h"
#include "models/network/torch_library.h"

namespace atelier::models {
namespace {

std::vector<float> NetworkAnswers(const TrainedModel& model, absl::Span<const uint8_t> images,
                                  int64_t count) {
  const auto network = Compile(model);
  std::vector<float> answers(static_cast<size_t>(count * network->classes()));
  const PixelSpan part = images;
  network->Run(absl::MakeConstSpan(&part, 1), answers.data());
  return answers;
}

// Infinite where there are more of one, and where one of two numbers is none.
double Difference(const std::vector<float>& one, const std::vector<float>& other) {
  if (one.size() != other.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    const double difference = std::abs(double{one[i]} - double{other[i]});
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
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
    const ImageShape& shape = model.architecture.input;
    const int64_t count = static_cast<int64_t>(images.size()) / shape.size();
    std::vector<float> pixels;
    for (const uint8_t byte : images) pixels.push_back(ToUnit(byte));
    const TorchLibrary& torch = TorchLibrary::Get();
    const std::vector<float> script = torch.RunTorchScript(archive->model_pt, shape, pixels);
    const ExportDifferences found = {
        Difference(script, NetworkAnswers(model, images, count)),
        Difference(torch.RunOnnx(archive->model_onnx, shape, pixels), script)};
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
