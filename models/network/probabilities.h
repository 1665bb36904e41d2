// What follows from class probabilities alone: their logarithms, and the probabilities at another
// temperature (Guo et al., On Calibration of Modern Neural Networks, 2017), which is the same for
// whatever computed them. Thread-safe: pure functions.
#ifndef ATELIER_MODELS_NETWORK_PROBABILITIES_H_
#define ATELIER_MODELS_NETWORK_PROBABILITIES_H_

#include <cstdint>

#include "absl/types/span.h"

namespace atelier::models {

// The range in which a temperature is fitted, and outside of which none is accepted.
inline constexpr double kMinTemperature = 0.05;
inline constexpr double kMaxTemperature = 20;

// The logarithm of a probability; of the smallest normal one where softmax came to less, as it may
// of a network that is sure of another class. NaN stays NaN.
float LogProbability(float probability);

// Replaces every row of `classes` probabilities p by softmax(log p / temperature), log as above.
// The order of the classes stays, except that rounding may make neighbours equal.
void ApplyTemperature(double temperature, int64_t classes, absl::Span<float> probabilities);

// What that makes of the largest probability of one row.
float ConfidenceAt(double temperature, absl::Span<const float> row);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_PROBABILITIES_H_
