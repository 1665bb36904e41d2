// Where the time of training steps goes. Plain sums of seconds, kept by the thread that works and
// added up when asked; taking the time costs less than a thousandth of a step.
#ifndef ATELIER_MODELS_BASE_STEP_PROFILE_H_
#define ATELIER_MODELS_BASE_STEP_PROFILE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/strings/string_view.h"

namespace atelier::models {

enum class StepPart {
  kImages,         // Bytes to numbers.
  kConvolution,    // Forward, with bias and ReLU.
  kNormalization,  // Statistics, normalisation and pooling, forward.
  kDense,          // Forward, with bias, ReLU and dropout.
  kLoss,
  kDenseGradient,
  kNormalizationGradient,  // With pooling, ReLU and the convolution's bias.
  kConvolutionInputGradient,
  kConvolutionWeightGradient,
  kWholePass,  // Forward and backward where they are not told apart.
  kOptimizer,  // Adding the shards' gradients, Adam, transposing the weights.
};
inline constexpr size_t kStepParts = 11;

// `convolution`, `dense gradient`, …
absl::string_view StepPartName(StepPart part);

class StepProfile {
 public:
  // Counts the time from here.
  void Start() { last_ = Clock::now(); }
  // Counts what passed since the last call as time of `part`.
  void Lap(StepPart part) {
    const Clock::time_point now = Clock::now();
    seconds_[static_cast<size_t>(part)] +=
        std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }
  void Add(const StepProfile& other) {
    for (size_t i = 0; i < kStepParts; ++i) seconds_[i] += other.seconds_[i];
  }
  double seconds(StepPart part) const { return seconds_[static_cast<size_t>(part)]; }

 private:
  using Clock = std::chrono::steady_clock;

  std::array<double, kStepParts> seconds_ = {};
  Clock::time_point last_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_STEP_PROFILE_H_
