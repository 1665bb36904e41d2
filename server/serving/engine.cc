#include "server/serving/engine.h"

#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/predictor.h"
#include "models/sha256.h"

namespace atelier::serving {
namespace {

// Images that are computed at once: enough to keep a core busy, few enough that their feature maps
// stay in its cache.
constexpr std::size_t kBatch = 32;

class PredictorEngine final : public Engine {
 public:
  explicit PredictorEngine(std::unique_ptr<const models::Predictor> predictor)
      : predictor_(std::move(predictor)) {}

  const models::ImageShape& input_shape() const override { return predictor_->input_shape(); }
  const std::vector<std::string>& class_names() const override { return predictor_->class_names(); }

  absl::StatusOr<std::vector<float>> Classify(const Pixels& pixels) const override {
    return std::visit([this](const auto& span) { return ClassifyInBatches(span); }, pixels);
  }

 private:
  template <typename Number>
  absl::StatusOr<std::vector<float>> ClassifyInBatches(absl::Span<const Number> pixels) const {
    const std::size_t batch = kBatch * static_cast<std::size_t>(input_shape().size());
    std::vector<float> probabilities;
    for (std::size_t begin = 0; begin < pixels.size(); begin += batch) {
      auto part = predictor_->Classify(pixels.subspan(begin, batch));
      if (!part.ok()) return part.status();
      probabilities.insert(probabilities.end(), part->begin(), part->end());
    }
    return probabilities;
  }

  const std::unique_ptr<const models::Predictor> predictor_;
};

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::UnavailableError(absl::StrCat(path, " cannot be opened."));
  models::Sha256 digest;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    digest.Update(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return absl::UnavailableError(absl::StrCat(path, " cannot be read."));
  return digest.Finish();
}

}  // namespace

std::size_t SizeOf(const Pixels& pixels) {
  return std::visit([](const auto& span) { return span.size(); }, pixels);
}

absl::StatusOr<std::shared_ptr<const Engine>> LoadEngine(const Version& version) {
  const auto sha256 = Sha256OfFile(version.archive_path);
  if (!sha256.ok()) return sha256.status();
  if (*sha256 != version.sha256) {
    return absl::UnavailableError(
        absl::StrCat(version.archive_path, " is not the archive that was stored: its SHA-256 is ",
                     *sha256, ", stored was ", version.sha256, "."));
  }
  auto predictor = models::Predictor::Load(version.archive_path);
  if (!predictor.ok()) return absl::UnavailableError(predictor.status().message());
  return std::make_shared<const PredictorEngine>(*std::move(predictor));
}

}  // namespace atelier::serving
