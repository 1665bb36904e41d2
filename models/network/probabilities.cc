#include "models/network/probabilities.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace atelier::models {
namespace {

// Probability `p` relative to the largest of its row, whose logarithm is `top`, at a temperature.
double Relative(double temperature, float p, float top) {
  return std::exp((static_cast<double>(LogProbability(p)) - static_cast<double>(top)) /
                  temperature);
}

float LargestLog(absl::Span<const float> row) {
  return LogProbability(*std::max_element(row.begin(), row.end()));
}

}  // namespace

float LogProbability(float probability) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  return std::log(probability < kSmallest ? kSmallest : probability);
}

void ApplyTemperature(double temperature, int64_t classes, absl::Span<float> probabilities) {
  const auto size = static_cast<size_t>(classes);
  for (size_t begin = 0; begin < probabilities.size(); begin += size) {
    const absl::Span<float> row = probabilities.subspan(begin, size);
    const float top = LargestLog(row);
    double sum = 0;
    for (float& p : row) {
      const double relative = Relative(temperature, p, top);
      sum += relative;
      p = static_cast<float>(relative);
    }
    for (float& p : row) p = static_cast<float>(static_cast<double>(p) / sum);
  }
}

float ConfidenceAt(double temperature, absl::Span<const float> row) {
  const float top = LargestLog(row);
  double sum = 0;
  for (const float p : row) sum += Relative(temperature, p, top);
  return static_cast<float>(1 / sum);
}

}  // namespace atelier::models
