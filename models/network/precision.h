// Number formats of training and serving. Thread-safe: free functions.
#ifndef ATELIER_MODELS_NETWORK_PRECISION_H_
#define ATELIER_MODELS_NETWORK_PRECISION_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::models {

// Number format: in training that of the arithmetic, where weights, statistics and the loss are
// always float32; in serving that of the dense layers' weights, where sums are always float32.
enum class Precision { kFloat32, kBfloat16 };

// How a network rounds to bfloat16 what it multiplies, if it does: pixels and weights as they are,
// or transformed by Winograd's filtering, which loses other digits.
enum class ProductRounding { kNone, kDirect, kTransformed };

// `float32` or `bfloat16`.
absl::string_view PrecisionName(Precision precision);
absl::StatusOr<Precision> ParsePrecision(absl::string_view name);
// In which format a network's weights are served, given the fraction of the validation images it
// classifies correctly in each; nothing if bfloat16 was not tried. bfloat16 may cost up to 0.1
// points.
Precision ServingPrecision(double float32_accuracy, std::optional<double> bfloat16_accuracy);
// True if this machine's processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX).
bool Bfloat16Supported();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_PRECISION_H_
