#include "models/pictures/transparency.h"

#include <algorithm>

#include "absl/status/statusor.h"

namespace atelier::models {
namespace {

// Differences of brightness from here on are seen.
constexpr int kVisible = 32;

int Luma(const uint8_t* pixel, size_t colours) {
  if (colours == 1) return pixel[0];
  return (299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000;
}

// 0 or 255; kInvalidArgument if nothing is seen on any.
absl::StatusOr<int> GroundOf(const std::vector<uint8_t>& pixels, size_t colours) {
  int on_white = 0;
  int on_black = 0;
  bool opaque_somewhere = false;
  for (size_t i = 0; i < pixels.size(); i += colours + 1) {
    const int alpha = pixels[i + colours];
    const int luma = Luma(&pixels[i], colours);
    opaque_somewhere |= alpha > 0;
    on_white = std::max(on_white, alpha * (255 - luma) / 255);
    on_black = std::max(on_black, alpha * luma / 255);
  }
  if (!opaque_somewhere) {
    return absl::InvalidArgumentError(
        "the picture is wholly transparent, so there is nothing to see in it");
  }
  return on_white < kVisible && on_black > on_white ? 0 : 255;
}

// In place: each pixel shrinks, so nothing is overwritten before it was read.
void LayOver(int ground, size_t colours, std::vector<uint8_t>* pixels) {
  size_t to = 0;
  for (size_t from = 0; from < pixels->size(); from += colours + 1) {
    const int alpha = (*pixels)[from + colours];
    for (size_t c = 0; c < colours; ++c) {
      const int blended = (*pixels)[from + c] * alpha + ground * (255 - alpha);
      (*pixels)[to++] = static_cast<uint8_t>((blended + 127) / 255);
    }
  }
  pixels->resize(to);
}

}  // namespace

absl::Status LayOverGround(size_t colours, std::vector<uint8_t>* pixels) {
  const absl::StatusOr<int> ground = GroundOf(*pixels, colours);
  if (ground.ok()) LayOver(*ground, colours, pixels);
  return ground.status();
}

}  // namespace atelier::models
