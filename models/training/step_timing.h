// How long a training's steps take: laps of time, and images a second. Values; not synchronised.
#ifndef ATELIER_MODELS_TRAINING_STEP_TIMING_H_
#define ATELIER_MODELS_TRAINING_STEP_TIMING_H_

#include <chrono>
#include <cstdint>
#include <utility>

namespace atelier::models {

// Measures time in laps.
class Stopwatch {
 public:
  // Seconds since the last lap, or since construction.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Images a second over about the last second.
class RateMeter {
 public:
  double Add(int64_t images, double seconds) {
    images_ += images;
    seconds_ += seconds;
    if (seconds_ >= 1 || rate_ == 0) rate_ = static_cast<double>(images_) / seconds_;
    if (seconds_ >= 1) images_ = 0, seconds_ = 0;
    return rate_;
  }

 private:
  int64_t images_ = 0;
  double seconds_ = 0;
  double rate_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_STEP_TIMING_H_
