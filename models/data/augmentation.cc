#include "models/data/augmentation.h"

#include <algorithm>
#include <cmath>

#include "models/data/color_jitter.h"
#include "models/data/image_resampling.h"

namespace atelier::models {
namespace {

constexpr float kLeastErased = 0.02F;
constexpr float kMostErased = 0.33F;
constexpr float kMostStretched = 10.0F / 3.0F;
// The longer side of a part over the shorter one, at most.
constexpr double kWidest = 4.0 / 3;
// At a rectangle that fits in.
constexpr int kAttempts = 10;

// Uniform in [-most, most].
int64_t Offset(int64_t most, RandomStream& random) {
  return static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(2 * most + 1))) - most;
}

// Uniform in [low, high).
double Uniform(double low, double high, RandomStream& random) {
  return low + (high - low) * static_cast<double>(random.NextFloat());
}

// Where of `room` places something is put.
int64_t Somewhere(int64_t room, RandomStream& random) {
  return static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(room)));
}

ImagePart RandomPart(double least_share, const ImageShape& shape, RandomStream& random) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double area =
        static_cast<double>(shape.height * shape.width) * Uniform(least_share, 1, random);
    const double wide = std::pow(kWidest, Uniform(-1, 1, random));
    const auto width = static_cast<int64_t>(std::lround(std::sqrt(area * wide)));
    const auto height = static_cast<int64_t>(std::lround(std::sqrt(area / wide)));
    if (height < 1 || width < 1 || height > shape.height || width > shape.width) continue;
    const int64_t top = Somewhere(shape.height - height + 1, random);
    return {top, Somewhere(shape.width - width + 1, random), height, width};
  }
  return {0, 0, shape.height, shape.width};
}

// Nothing is drawn for what is not asked for, so that seeds from before mean the same.
AffineMap RandomMap(const Augmentation& augmentation, const ImageShape& shape,
                    RandomStream& random) {
  ImagePart part = {0, 0, shape.height, shape.width};
  if (augmentation.random_resized_crop > 0) {
    part = RandomPart(augmentation.random_resized_crop, shape, random);
  }
  double degrees = 0;
  if (augmentation.rotation > 0) {
    degrees = Uniform(-augmentation.rotation, augmentation.rotation, random);
  }
  return MapOfPart(shape, part, degrees);
}

void Erase(const ImageShape& shape, RandomStream& random, uint8_t* image) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const float area = static_cast<float>(shape.height * shape.width) *
                       (kLeastErased + (kMostErased - kLeastErased) * random.NextFloat());
    const float stretch = std::pow(kMostStretched, 2 * random.NextFloat() - 1);
    const auto height = static_cast<int64_t>(std::lround(std::sqrt(area * stretch)));
    const auto width = static_cast<int64_t>(std::lround(std::sqrt(area / stretch)));
    if (height < 1 || width < 1 || height > shape.height || width > shape.width) continue;
    const int64_t top = Somewhere(shape.height - height + 1, random);
    const int64_t left = Somewhere(shape.width - width + 1, random);
    for (int64_t c = 0; c < shape.channels; ++c) {
      for (int64_t y = top; y < top + height; ++y) {
        uint8_t* row = image + (c * shape.height + y) * shape.width + left;
        for (int64_t x = 0; x < width; ++x) row[x] = static_cast<uint8_t>(random.Next() >> 56);
      }
    }
    return;
  }
}

}  // namespace

void Augment(const Augmentation& augmentation, const ImageShape& shape, const uint8_t* pixels,
             RandomStream& random, uint8_t* result) {
  AffineMap map;
  if (augmentation.resamples()) map = RandomMap(augmentation, shape, random);
  Movement movement;
  movement.mirrored = augmentation.horizontal_flip && random.NextBelow(2) == 1;
  movement.down = Offset(augmentation.shift, random);
  movement.right = Offset(augmentation.shift, random);
  if (augmentation.resamples()) {
    Resample(shape, map, movement, pixels, result);
  } else {
    Move(shape, movement, pixels, result);
  }
  if (augmentation.color_jitter > 0) {
    JitterColors(augmentation.color_jitter, shape, random, result);
  }
  if (static_cast<double>(random.NextFloat()) < augmentation.erasing) Erase(shape, random, result);
}

}  // namespace atelier::models
