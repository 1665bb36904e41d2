// What computes: one loaded version of a model. The seam between serving and LibTorch.
#ifndef ATELIER_SERVER_SERVING_ENGINE_H_
#define ATELIER_SERVER_SERVING_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/architecture.h"
#include "server/serving/version_source.h"

namespace atelier::serving {

// Any number of images side by side, N×C×H×W: bytes 0 to 255, or floats in [0,1].
using Pixels = std::variant<absl::Span<const std::uint8_t>, absl::Span<const float>>;

// Numbers in `pixels`.
std::size_t SizeOf(const Pixels& pixels);

// Immutable, hence thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const models::ImageShape& input_shape() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;

  // N×classes probabilities of N ≥ 1 images whose sizes were checked. Computes on the calling
  // thread alone. RESOURCE_EXHAUSTED when memory runs out, INTERNAL.
  virtual absl::StatusOr<std::vector<float>> Classify(const Pixels& pixels) const = 0;
};

// Makes an engine of an archive. Waits for the disk and computes, for up to seconds.
using EngineLoader =
    std::function<absl::StatusOr<std::shared_ptr<const Engine>>(const Version& version)>;

// The loader of the real thing: compares the archive's checksum, loads its network and warms it up.
// UNAVAILABLE with a sentence if the archive is missing, damaged or not the one that was stored.
absl::StatusOr<std::shared_ptr<const Engine>> LoadEngine(const Version& version);

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_ENGINE_H_
