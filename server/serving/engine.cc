#include "server/serving/engine.h"

#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/archive/model_archive.h"
#include "models/files/regular_file.h"
#include "models/files/sha256.h"

namespace atelier::serving {
namespace {

class PredictorEngine final : public Engine {
 public:
  explicit PredictorEngine(std::unique_ptr<const models::Predictor> predictor)
      : predictor_(std::move(predictor)) {}

  const models::ImageShape& input_shape() const override { return predictor_->input_shape(); }
  const std::vector<std::string>& class_names() const override { return predictor_->class_names(); }
  std::optional<double> temperature() const override { return predictor_->temperature(); }
  std::int64_t memory_bytes() const override { return predictor_->memory_bytes(); }

  absl::StatusOr<std::vector<float>> Classify(absl::Span<const Pixels> parts) const override {
    return predictor_->Classify(parts);
  }

 private:
  const std::unique_ptr<const models::Predictor> predictor_;
};

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  const auto file = models::RegularFile::Open(path);
  if (!file.ok()) return absl::UnavailableError(absl::StrCat(file.status().message(), "."));
  // What could never be loaded need not be read, however long that would take.
  if (file->size() > models::kMaxArchiveBytes) {
    return absl::UnavailableError(absl::StrCat(path, " has ", file->size(), " bytes; at most ",
                                               models::kMaxArchiveBytes, " are accepted."));
  }
  models::Sha256 digest;
  std::vector<char> buffer(1 << 20);
  for (std::int64_t at = 0; at < file->size();) {
    const auto got = file->Read(at, buffer.data(), buffer.size());
    if (!got.ok()) return absl::UnavailableError(absl::StrCat(got.status().message(), "."));
    if (*got == 0) break;
    digest.Update(buffer.data(), *got);
    at += static_cast<std::int64_t>(*got);
  }
  return digest.Finish();
}

}  // namespace

std::size_t SizeOf(const Pixels& pixels) {
  return std::visit([](const auto& span) { return span.size(); }, pixels);
}

Pixels ImagesOf(const Pixels& pixels, std::size_t size, std::size_t first, std::size_t count) {
  return std::visit(
      [&](const auto& span) { return Pixels(span.subspan(first * size, count * size)); }, pixels);
}

absl::Status CheckArchive(const Version& version) {
  const auto sha256 = Sha256OfFile(version.archive_path);
  if (!sha256.ok()) return sha256.status();
  if (*sha256 == version.sha256) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(version.archive_path,
                                             " is not the archive that was stored: its SHA-256 is ",
                                             *sha256, ", stored was ", version.sha256, "."));
}

EngineResult LoadEngine(const Version& version) {
  return LoadEngineOn(models::Device::kCpu)(version);
}

EngineLoader LoadEngineOn(models::Device device) {
  return [device](const Version& version) -> EngineResult {
    if (absl::Status status = CheckArchive(version); !status.ok()) return status;
    auto predictor = models::Predictor::Load(version.archive_path, device);
    if (!predictor.ok()) return absl::UnavailableError(predictor.status().message());
    return std::make_shared<const PredictorEngine>(*std::move(predictor));
  };
}

}  // namespace atelier::serving
