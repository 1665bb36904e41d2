#include "models/data/augmentation.h"

#include <algorithm>
#include <cmath>

namespace atelier::models {
namespace {

constexpr float kLeastErased = 0.02F;
constexpr float kMostErased = 0.33F;
constexpr float kMostStretched = 10.0F / 3.0F;
constexpr int kErasingAttempts = 10;

// Uniform in [-most, most].
int64_t Offset(int64_t most, RandomStream& random) {
  return static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(2 * most + 1))) - most;
}

// The pixel of (y, x) is that of (y - down, x - right) of the image, mirrored if asked for.
void Move(const ImageShape& shape, bool mirrored, int64_t down, int64_t right,
          const uint8_t* pixels, uint8_t* result) {
  const int64_t begin = std::max<int64_t>(right, 0);
  const int64_t end = std::min(shape.width + right, shape.width);
  std::fill_n(result, shape.size(), uint8_t{0});
  for (int64_t row = 0; row < shape.channels * shape.height; ++row) {
    const int64_t y = row % shape.height - down;
    if (y < 0 || y >= shape.height) continue;
    const uint8_t* from = pixels + (row - down) * shape.width;
    uint8_t* to = result + row * shape.width;
    for (int64_t x = begin; x < end; ++x) {
      to[x] = from[mirrored ? shape.width - 1 - (x - right) : x - right];
    }
  }
}

void Erase(const ImageShape& shape, RandomStream& random, uint8_t* image) {
  for (int attempt = 0; attempt < kErasingAttempts; ++attempt) {
    const float area = static_cast<float>(shape.height * shape.width) *
                       (kLeastErased + (kMostErased - kLeastErased) * random.NextFloat());
    const float stretch = std::pow(kMostStretched, 2 * random.NextFloat() - 1);
    const auto height = static_cast<int64_t>(std::lround(std::sqrt(area * stretch)));
    const auto width = static_cast<int64_t>(std::lround(std::sqrt(area / stretch)));
    if (height < 1 || width < 1 || height > shape.height || width > shape.width) continue;
    const auto place = [&](int64_t room) {
      return static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(room + 1)));
    };
    const int64_t top = place(shape.height - height);
    const int64_t left = place(shape.width - width);
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
  const bool mirrored = augmentation.horizontal_flip && random.NextBelow(2) == 1;
  const int64_t down = Offset(augmentation.shift, random);
  const int64_t right = Offset(augmentation.shift, random);
  Move(shape, mirrored, down, right, pixels, result);
  if (static_cast<double>(random.NextFloat()) < augmentation.erasing) Erase(shape, random, result);
}

}  // namespace atelier::models
