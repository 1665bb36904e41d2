// Planes of numbers (filters, feature maps) as tiles side by side in one picture. Thread-safe:
// a free function and values.
#ifndef ATELIER_MODELS_PICTURES_TILED_PICTURE_H_
#define ATELIER_MODELS_PICTURES_TILED_PICTURE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace atelier::models {

// Where the tiles are: tile i in row i / columns and column i % columns; tile (r, c) begins at
// pixel (gap + r × (tile_height + gap), gap + c × (tile_width + gap)).
struct TileLayout {
  int64_t tiles = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  // In pixels.
  int64_t tile_height = 0;
  int64_t tile_width = 0;
  int64_t gap = 0;
  // Pixels along an edge of one number.
  int64_t zoom = 1;

  int64_t picture_height() const { return gap + rows * (tile_height + gap); }
  int64_t picture_width() const { return gap + columns * (tile_width + gap); }
};

struct TiledPicture {
  TileLayout layout;
  // A PNG file: tiles on blue, which no grey is.
  std::string png;
};

struct TileOptions {
  // At least 1. Lowered where the picture would have too many pixels.
  int64_t zoom = 1;
  // If still too many, fewer rows of tiles are drawn, but one at least.
  int64_t max_pixels = 1'500'000;
  // 0 for as many as make the picture nearly square, or a little wider with full rows.
  int64_t columns = 0;
  // What is black (−limit) and what is white (limit) in all tiles, so that 0 is middle grey; 0 for
  // a scale of its own for each tile, from its smallest to its largest number. A tile whose numbers
  // are all the same is then middle grey (128).
  float limit = 0;
  // Whether three planes in a row are red, green and blue of one tile; else each is a grey tile.
  bool color = false;
};

// Draws planes of height × width numbers, one after the other. Requires at least one tile and
// values.size() to be a multiple of a tile's; infinite numbers count as the scale's ends, NaN as
// its middle. kInternal if the PNG file cannot be made.
absl::StatusOr<TiledPicture> DrawTiles(absl::Span<const float> values, int64_t height,
                                       int64_t width, const TileOptions& options);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_TILED_PICTURE_H_
