#include "models/data/color_jitter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace atelier::models {
namespace {

// Factors are whole numbers of 256ths.
constexpr int kBits = 8;
constexpr int kOne = 1 << kBits;

// `from` to `factor` times as far away from `origin`.
uint8_t Stretched(int from, int origin, int factor) {
  const int result = origin + (((from - origin) * factor + kOne / 2) >> kBits);
  return static_cast<uint8_t>(std::clamp(result, 0, 255));
}

int Grey(int red, int green, int blue) {
  return (77 * red + 150 * green + 29 * blue + kOne / 2) >> kBits;
}

int MeanGrey(const ImageShape& shape, const uint8_t* image) {
  const int64_t plane = shape.height * shape.width;
  int64_t sum = 0;
  if (shape.channels == 3) {
    for (int64_t i = 0; i < plane; ++i) {
      sum += Grey(image[i], image[plane + i], image[2 * plane + i]);
    }
    return static_cast<int>((sum + plane / 2) / plane);
  }
  for (int64_t i = 0; i < shape.size(); ++i) sum += image[i];
  return static_cast<int>((sum + shape.size() / 2) / shape.size());
}

void Stretch(int64_t size, int origin, int factor, uint8_t* image) {
  for (int64_t i = 0; i < size; ++i) image[i] = Stretched(image[i], origin, factor);
}

void Saturate(int64_t plane, int factor, uint8_t* image) {
  for (int64_t i = 0; i < plane; ++i) {
    const int grey = Grey(image[i], image[plane + i], image[2 * plane + i]);
    for (int64_t c = 0; c < 3; ++c) {
      image[c * plane + i] = Stretched(image[c * plane + i], grey, factor);
    }
  }
}

}  // namespace

void JitterColors(double strength, const ImageShape& shape, RandomStream& random, uint8_t* image) {
  enum Change { kBrightness, kContrast, kSaturation };
  std::array<std::pair<Change, int>, 3> changes = {
      {{kBrightness, 0}, {kContrast, 0}, {kSaturation, 0}}};
  for (auto& [change, factor] : changes) {
    const double way = 2 * static_cast<double>(random.NextFloat()) - 1;
    factor = static_cast<int>(std::lround((1 + strength * way) * kOne));
  }
  for (size_t i = changes.size(); i > 1; --i) {
    std::swap(changes[i - 1], changes[random.NextBelow(i)]);
  }
  for (const auto& [change, factor] : changes) {
    if (change == kSaturation) {
      if (shape.channels == 3) Saturate(shape.height * shape.width, factor, image);
    } else {
      const int origin = change == kContrast ? MeanGrey(shape, image) : 0;
      Stretch(shape.size(), origin, factor, image);
    }
  }
}

}  // namespace atelier::models
