// Random numbers that are a function of where they are used and nothing else: a stream is named by
// a seed, a purpose and two counters (an epoch, a step and a shard, …), so no generator state has
// to be carried along, saved or shared. Bit-identical on every machine and compiler, which the
// standard library's distributions and shuffle are not. A stream belongs to one thread.
#ifndef ATELIER_MODELS_BASE_RANDOM_H_
#define ATELIER_MODELS_BASE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace atelier::models {

// What random numbers are for; part of a stream's name, so values must not change.
enum class RandomPurpose : uint64_t {
  kSplit = 1,
  kWeights = 2,
  kOrder = 3,
  // Within a training step: augmentation, then dropout.
  kStep = 4,
};

// Vigna's SplitMix64, whose starting point is the stream's name, mixed.
class RandomStream {
 public:
  RandomStream(uint64_t seed, RandomPurpose purpose, uint64_t first = 0, uint64_t second = 0)
      : state_(Mix(Mix(Mix(Mix(seed) ^ static_cast<uint64_t>(purpose)) ^ first) ^ second)) {}

  uint64_t Next() {
    state_ += kGolden;
    return Finalize(state_);
  }
  // Uniform in [0, 1), 24 bits.
  float NextFloat() { return static_cast<float>(Next() >> 40) * 0x1p-24F; }
  // Uniform in [0, bound); bound > 0. Without bias, by rejection.
  uint64_t NextBelow(uint64_t bound) {
    const uint64_t threshold = -bound % bound;
    uint64_t value = Next();
    while (value < threshold) value = Next();
    return value % bound;
  }

 private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  static uint64_t Finalize(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  static uint64_t Mix(uint64_t value) { return Finalize(value + kGolden); }

  uint64_t state_;
};

// Fisher and Yates' shuffle.
template <typename T>
void Shuffle(std::vector<T>& values, RandomStream& random) {
  for (size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[random.NextBelow(i)]);
  }
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_RANDOM_H_
