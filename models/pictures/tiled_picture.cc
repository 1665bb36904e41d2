#include "models/pictures/tiled_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "models/pictures/image_codec.h"

namespace atelier::models {
namespace {

// The palette: greys from black to white, then the colour between tiles.
constexpr int kGreys = 255;
constexpr uint8_t kMiddle = kGreys / 2;
constexpr uint8_t kGap = kGreys;
constexpr std::array<uint8_t, 3> kGapColor = {0x4a, 0x6f, 0xa5};

const std::vector<uint8_t>& Palette() {
  static const auto* palette = [] {
    auto* colors = new std::vector<uint8_t>;
    for (int i = 0; i < kGreys; ++i) {
      colors->insert(colors->end(), 3, static_cast<uint8_t>(std::lround(i * 255.0 / (kGreys - 1))));
    }
    colors->insert(colors->end(), kGapColor.begin(), kGapColor.end());
    return colors;
  }();
  return *palette;
}

// From numbers to greys of the palette.
struct Scale {
  float low = 0;
  float high = 0;

  uint8_t Grey(float value) const {
    if (!(high > low) || std::isnan(value)) return kMiddle;
    const float share = (std::clamp(value, low, high) - low) / (high - low);
    return static_cast<uint8_t>(std::lround(share * (kGreys - 1)));
  }
};

Scale ScaleOf(absl::Span<const float> plane, float limit) {
  if (limit > 0) return {-limit, limit};
  Scale scale = {HUGE_VALF, -HUGE_VALF};
  for (const float value : plane) {
    if (!std::isfinite(value)) continue;
    scale.low = std::min(scale.low, value);
    scale.high = std::max(scale.high, value);
  }
  return scale;
}

TileLayout LayoutOf(int64_t tiles, int64_t height, int64_t width, int64_t columns, int64_t zoom) {
  TileLayout layout;
  layout.tiles = tiles;
  layout.columns = columns;
  layout.rows = (tiles + columns - 1) / columns;
  layout.zoom = zoom;
  layout.gap = 1 + zoom / 8;
  layout.tile_height = height * zoom;
  layout.tile_width = width * zoom;
  return layout;
}

// As many columns as make the picture square, or up to twice as many if all rows are full then.
int64_t SquareColumns(int64_t tiles, int64_t height, int64_t width) {
  const double square = std::sqrt(static_cast<double>(tiles * height) / static_cast<double>(width));
  const int64_t columns = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(square)), 1, tiles);
  for (int64_t more = columns; more <= std::min(2 * columns, tiles); ++more) {
    if (tiles % more == 0) return more;
  }
  return columns;
}

TileLayout Fit(int64_t tiles, int64_t height, int64_t width, const TileOptions& options) {
  const int64_t columns =
      options.columns > 0 ? options.columns : SquareColumns(tiles, height, width);
  const auto too_large = [&](const TileLayout& layout) {
    return layout.picture_height() > options.max_pixels / layout.picture_width();
  };
  int64_t zoom = options.zoom;
  TileLayout layout = LayoutOf(tiles, height, width, columns, zoom);
  while (zoom > 1 && too_large(layout)) {
    layout = LayoutOf(tiles, height, width, columns, --zoom);
  }
  if (too_large(layout)) {
    const int64_t fitting = (options.max_pixels / layout.picture_width() - layout.gap) /
                            (layout.tile_height + layout.gap);
    layout.rows = std::max<int64_t>(fitting, 1);
    layout.tiles = std::min(tiles, layout.rows * columns);
  }
  return layout;
}

// Draws one plane of each tile, the first after `values` and every `planes`th, as indices of the
// palette; the gaps are those of the palette, too.
std::vector<uint8_t> DrawPlanes(absl::Span<const float> values, int64_t size, int64_t planes,
                                int64_t width, float limit, const TileLayout& layout) {
  const int64_t picture_width = layout.picture_width();
  std::vector<uint8_t> pixels(static_cast<size_t>(layout.picture_height() * picture_width), kGap);
  for (int64_t tile = 0; tile < layout.tiles; ++tile) {
    const auto plane =
        values.subspan(static_cast<size_t>(tile * planes * size), static_cast<size_t>(size));
    const Scale scale = ScaleOf(plane, limit);
    const int64_t top = layout.gap + tile / layout.columns * (layout.tile_height + layout.gap);
    const int64_t left = layout.gap + tile % layout.columns * (layout.tile_width + layout.gap);
    for (int64_t y = 0; y < layout.tile_height; ++y) {
      uint8_t* const row = pixels.data() + (top + y) * picture_width + left;
      const float* const from = plane.data() + y / layout.zoom * width;
      for (int64_t x = 0; x < layout.tile_width; ++x) row[x] = scale.Grey(from[x / layout.zoom]);
    }
  }
  return pixels;
}

// The picture whose red, green and blue are those planes.
Image Joined(const TileLayout& layout, const std::array<std::vector<uint8_t>, 3>& planes) {
  Image image{layout.picture_height(), layout.picture_width(), 3, {}};
  for (size_t pixel = 0; pixel < planes[0].size(); ++pixel) {
    for (size_t color = 0; color < planes.size(); ++color) {
      const size_t index = planes[color][pixel];
      // A gap has its own red, green and blue.
      image.pixels.push_back(Palette()[3 * index + color]);
    }
  }
  return image;
}

}  // namespace

absl::StatusOr<TiledPicture> DrawTiles(absl::Span<const float> values, int64_t height,
                                       int64_t width, const TileOptions& options) {
  const int64_t size = height * width;
  const int64_t planes = options.color ? 3 : 1;
  TiledPicture picture;
  TileLayout& layout = picture.layout;
  layout = Fit(static_cast<int64_t>(values.size()) / (planes * size), height, width, options);
  const auto plane = [&](int64_t i) {
    return DrawPlanes(values.subspan(static_cast<size_t>(i * size)), size, planes, width,
                      options.limit, layout);
  };
  absl::StatusOr<std::string> png =
      options.color
          ? EncodePng(Joined(layout, {plane(0), plane(1), plane(2)}))
          : EncodePalettePng(layout.picture_height(), layout.picture_width(), plane(0), Palette());
  if (!png.ok()) return png.status();
  picture.png = *std::move(png);
  return picture;
}

}  // namespace atelier::models
