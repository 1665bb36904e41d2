#include "models/pictures/heat_overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <variant>

#include "models/pictures/image_codec.h"

namespace atelier::models {
namespace {

using Color = std::array<float, 3>;

// Both ramps grow in lightness evenly, so that equal steps of the numbers look equal; the warm one
// is matplotlib's inferno.
constexpr std::array<Color, 5> kFor = {
    {{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}}};
constexpr std::array<Color, 5> kAgainst = {
    {{0, 0, 4}, {13, 54, 118}, {20, 110, 171}, {79, 172, 214}, {205, 244, 255}}};
// The share of the numbers' colour in a pixel; the rest is the image.
constexpr float kHeatShare = 0.6F;

// Of a number from -1 to 1.
Color ColorOf(float value) {
  const auto& ramp = value < 0 ? kAgainst : kFor;
  const float position = std::min(std::abs(value), 1.0F) * (ramp.size() - 1);
  const auto step = std::min(static_cast<size_t>(position), ramp.size() - 2);
  const float share = position - static_cast<float>(step);
  Color color;
  for (size_t i = 0; i < color.size(); ++i) {
    color[i] = ramp[step][i] + (ramp[step + 1][i] - ramp[step][i]) * share;
  }
  return color;
}

// The image's greys, 0 to 255, row by row: Rec. 601 luma of colours.
std::vector<float> GreysOf(const ImageShape& shape, const PixelSpan& image) {
  const auto plane = static_cast<size_t>(shape.height * shape.width);
  return std::visit(
      [&](const auto& pixels) {
        std::vector<float> greys(plane);
        for (size_t i = 0; i < plane; ++i) {
          greys[i] = ToUnit(pixels[i]);
          if (shape.channels == 3) {
            greys[i] = 0.299F * greys[i] + 0.587F * ToUnit(pixels[plane + i]) +
                       0.114F * ToUnit(pixels[2 * plane + i]);
          }
          greys[i] *= 255;
        }
        return greys;
      },
      image);
}

// Where a pixel of `extent` lies among `numbers` spread evenly over them.
struct Place {
  size_t before = 0;
  size_t after = 0;
  float share = 0;  // Of `after`.

  Place(int64_t pixel, int64_t extent, int64_t numbers) {
    const float position = (static_cast<float>(pixel) + 0.5F) / static_cast<float>(extent) *
                               static_cast<float>(numbers) -
                           0.5F;
    const float inside = std::clamp(position, 0.0F, static_cast<float>(numbers - 1));
    before = static_cast<size_t>(inside);
    after = std::min(before + 1, static_cast<size_t>(numbers - 1));
    share = inside - static_cast<float>(before);
  }
};

// The numbers on a scale from -1 to 1 on which 0 stays 0.
HeatMap Scaled(HeatMap heat) {
  float limit = 0;
  for (float& value : heat.values) {
    if (!std::isfinite(value)) value = 0;
    limit = std::max(limit, std::abs(value));
  }
  if (limit > 0) {
    for (float& value : heat.values) value /= limit;
  }
  return heat;
}

}  // namespace

absl::StatusOr<HeatOverlay> DrawHeat(const ImageShape& shape, const PixelSpan& image,
                                     const HeatMap& heat, int64_t zoom, int64_t max_pixels) {
  while (zoom > 1 && shape.height * zoom > max_pixels / (shape.width * zoom)) --zoom;
  const HeatMap scaled = Scaled(heat);
  const std::vector<float> greys = GreysOf(shape, image);
  Image picture{shape.height * zoom, shape.width * zoom, 3, {}};
  picture.pixels.reserve(static_cast<size_t>(picture.height * picture.width * 3));
  std::vector<Place> columns;
  for (int64_t x = 0; x < picture.width; ++x) columns.emplace_back(x, picture.width, heat.width);
  for (int64_t y = 0; y < picture.height; ++y) {
    const Place row(y, picture.height, heat.height);
    const float* const above = &scaled.values[row.before * static_cast<size_t>(heat.width)];
    const float* const below = &scaled.values[row.after * static_cast<size_t>(heat.width)];
    const float* const grey = &greys[static_cast<size_t>(y / zoom * shape.width)];
    for (int64_t x = 0; x < picture.width; ++x) {
      const Place& column = columns[static_cast<size_t>(x)];
      const auto across = [&column](const float* values) {
        return std::lerp(values[column.before], values[column.after], column.share);
      };
      const Color color = ColorOf(std::lerp(across(above), across(below), row.share));
      for (const float part : color) {
        picture.pixels.push_back(static_cast<uint8_t>(
            std::lround(kHeatShare * part + (1 - kHeatShare) * grey[x / zoom])));
      }
    }
  }
  absl::StatusOr<std::string> png = EncodePng(picture);
  if (!png.ok()) return png.status();
  return HeatOverlay{zoom, *std::move(png)};
}

}  // namespace atelier::models
