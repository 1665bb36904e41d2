// What computes: one loaded version of a model. The seam between serving and the network's code.
#ifndef ATELIER_SERVER_SERVING_ENGINE_H_
#define ATELIER_SERVER_SERVING_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/archive/predictor.h"
#include "models/network/architecture.h"
#include "server/serving/version_source.h"

namespace atelier::serving {

// Any number of images side by side, N×C×H×W: bytes 0 to 255, or floats in [0,1].
using Pixels = models::PixelSpan;

// Numbers in `pixels`.
std::size_t SizeOf(const Pixels& pixels);
// Images [first, first + count) of `pixels`, an image having `size` numbers.
Pixels ImagesOf(const Pixels& pixels, std::size_t size, std::size_t first, std::size_t count);

// Immutable, hence thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const models::ImageShape& input_shape() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  // That calibrates its probabilities (models/network/probabilities.h); nothing if the version was
  // stored without one.
  virtual std::optional<double> temperature() const { return std::nullopt; }
  // Bytes of its weights.
  virtual std::int64_t memory_bytes() const = 0;

  // N×classes probabilities of the images of all parts, in their order; N ≥ 1, and every part's
  // size was checked. Computes on the calling thread alone. RESOURCE_EXHAUSTED when memory runs
  // out, INTERNAL.
  virtual absl::StatusOr<std::vector<float>> Classify(absl::Span<const Pixels> parts) const = 0;
};

using EngineResult = absl::StatusOr<std::shared_ptr<const Engine>>;

// Makes an engine of an archive. Waits for the disk and computes, for up to seconds.
using EngineLoader = std::function<EngineResult(const Version& version)>;

// UNAVAILABLE with a sentence if the archive is missing or not the one that was stored.
absl::Status CheckArchive(const Version& version);

// The loader of the real thing: compares the archive's checksum, loads its network and warms it up.
// UNAVAILABLE with a sentence if the archive is missing, damaged or not the one that was stored.
EngineResult LoadEngine(const Version& version);
// The same for engines that compute on a device; UNAVAILABLE where it is not there.
EngineLoader LoadEngineOn(models::Device device);

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_ENGINE_H_
