#include "models/data/augmentation.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

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
template <typename T>
T Uniform(T low, T high, RandomStream& random) {
  return low + (high - low) * static_cast<T>(random.NextFloat());
}

// Where of `room` places something is put.
int64_t Somewhere(int64_t room, RandomStream& random) {
  return static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(room)));
}

// The sides of a rectangle that has a random share, from `least` to `most`, of the area, and of
// which one is up to `widest` times the other. T decides what a seed gives.
template <typename T>
std::pair<int64_t, int64_t> RandomSides(T least, T most, T widest, const ImageShape& shape,
                                        RandomStream& random) {
  const T area = static_cast<T>(shape.height * shape.width) * Uniform<T>(least, most, random);
  const T ratio = std::pow(widest, Uniform<T>(-1, 1, random));
  return {std::lround(std::sqrt(area * ratio)), std::lround(std::sqrt(area / ratio))};
}

// Puts a rectangle somewhere into the image; nothing if it does not fit in.
std::optional<ImagePart> PutSomewhere(int64_t height, int64_t width, const ImageShape& shape,
                                      RandomStream& random) {
  if (height < 1 || width < 1 || height > shape.height || width > shape.width) return std::nullopt;
  const int64_t top = Somewhere(shape.height - height + 1, random);
  return ImagePart{top, Somewhere(shape.width - width + 1, random), height, width};
}

ImagePart RandomPart(double least_share, const ImageShape& shape, RandomStream& random) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto [width, height] = RandomSides<double>(least_share, 1, kWidest, shape, random);
    if (const auto part = PutSomewhere(height, width, shape, random)) return *part;
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
    const auto [height, width] =
        RandomSides<float>(kLeastErased, kMostErased, kMostStretched, shape, random);
    const auto part = PutSomewhere(height, width, shape, random);
    if (!part.has_value()) continue;
    for (int64_t c = 0; c < shape.channels; ++c) {
      for (int64_t y = part->top; y < part->top + part->height; ++y) {
        uint8_t* row = image + (c * shape.height + y) * shape.width + part->left;
        for (int64_t x = 0; x < part->width; ++x)
          row[x] = static_cast<uint8_t>(random.Next() >> 56);
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
