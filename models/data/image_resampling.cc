#include "models/data/image_resampling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace atelier::models {
namespace {

// Places are whole numbers of 65,536ths of a pixel, weights of 256ths.
constexpr int kPlaceBits = 16;
constexpr int kWeightBits = 8;
constexpr int64_t kPixel = int64_t{1} << kPlaceBits;
constexpr int64_t kWeight = int64_t{1} << kWeightBits;

int64_t ToPlace(double pixels) { return std::llround(pixels * static_cast<double>(kPixel)); }

// The columns of a result that a moved image reaches.
struct Columns {
  Columns(const ImageShape& shape, const Movement& movement)
      : begin(std::max<int64_t>(movement.right, 0)),
        end(std::min(shape.width + movement.right, shape.width)) {}

  int64_t begin;
  int64_t end;
};

// Where along one axis a place lies: between two pixels, `weight` 256ths of the way.
struct Between {
  // Requires a place from half a pixel before the first to half a pixel behind the last of `size`.
  Between(int64_t place, int64_t size) {
    const int64_t inside = std::clamp<int64_t>(place, 0, (size - 1) * kPixel);
    first = inside >> kPlaceBits;
    second = std::min(first + 1, size - 1);
    weight = (inside >> (kPlaceBits - kWeightBits)) & (kWeight - 1);
  }

  int64_t first;
  int64_t second;
  int64_t weight;
};

bool Inside(int64_t place, int64_t size) {
  return place >= -kPixel / 2 && place <= (size - 1) * kPixel + kPixel / 2;
}

// Writes a pixel's channels.
void Interpolate(const ImageShape& shape, const Between& row, const Between& column,
                 const uint8_t* pixels, uint8_t* result) {
  const int64_t plane = shape.height * shape.width;
  const int64_t at[] = {
      row.first * shape.width + column.first, row.first * shape.width + column.second,
      row.second * shape.width + column.first, row.second * shape.width + column.second};
  const int64_t weights[] = {(kWeight - row.weight) * (kWeight - column.weight),
                             (kWeight - row.weight) * column.weight,
                             row.weight * (kWeight - column.weight), row.weight * column.weight};
  for (int64_t c = 0; c < shape.channels; ++c) {
    const uint8_t* const from = pixels + c * plane;
    const int64_t sum = from[at[0]] * weights[0] + from[at[1]] * weights[1] +
                        from[at[2]] * weights[2] + from[at[3]] * weights[3];
    result[c * plane] = static_cast<uint8_t>((sum + kWeight * kWeight / 2) / (kWeight * kWeight));
  }
}

}  // namespace

AffineMap MapOfPart(const ImageShape& shape, const ImagePart& part, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  const auto height = static_cast<double>(shape.height);
  const auto width = static_cast<double>(shape.width);
  const double row_scale = static_cast<double>(part.height) / height;
  const double column_scale = static_cast<double>(part.width) / width;
  AffineMap map;
  map.row_by_row = row_scale * std::cos(angle);
  map.row_by_column = row_scale * std::sin(angle);
  map.column_by_row = -column_scale * std::sin(angle);
  map.column_by_column = column_scale * std::cos(angle);
  // The centre shows the part's.
  const double y = (height - 1) / 2;
  const double x = (width - 1) / 2;
  map.row_0 = static_cast<double>(part.top) + (static_cast<double>(part.height) - 1) / 2 -
              map.row_by_row * y - map.row_by_column * x;
  map.column_0 = static_cast<double>(part.left) + (static_cast<double>(part.width) - 1) / 2 -
                 map.column_by_row * y - map.column_by_column * x;
  return map;
}

void Move(const ImageShape& shape, const Movement& movement, const uint8_t* pixels,
          uint8_t* result) {
  const Columns columns(shape, movement);
  std::fill_n(result, shape.size(), uint8_t{0});
  for (int64_t row = 0; row < shape.channels * shape.height; ++row) {
    const int64_t y = row % shape.height - movement.down;
    if (y < 0 || y >= shape.height) continue;
    const uint8_t* from = pixels + (row - movement.down) * shape.width;
    uint8_t* to = result + row * shape.width;
    for (int64_t x = columns.begin; x < columns.end; ++x) {
      const int64_t moved = x - movement.right;
      to[x] = from[movement.mirrored ? shape.width - 1 - moved : moved];
    }
  }
}

void Resample(const ImageShape& shape, const AffineMap& map, const Movement& movement,
              const uint8_t* pixels, uint8_t* result) {
  const Columns columns(shape, movement);
  const int64_t direction = movement.mirrored ? -1 : 1;
  const int64_t first = movement.mirrored ? shape.width - 1 - (columns.begin - movement.right)
                                          : columns.begin - movement.right;
  const int64_t row_step = direction * ToPlace(map.row_by_column);
  const int64_t column_step = direction * ToPlace(map.column_by_column);
  std::fill_n(result, shape.size(), uint8_t{0});
  for (int64_t down = 0; down < shape.height; ++down) {
    const auto y = static_cast<double>(down - movement.down);
    if (down < movement.down || down - movement.down >= shape.height) continue;
    const auto x = static_cast<double>(first);
    int64_t row = ToPlace(map.row_0 + map.row_by_row * y + map.row_by_column * x);
    int64_t column = ToPlace(map.column_0 + map.column_by_row * y + map.column_by_column * x);
    uint8_t* const to = result + down * shape.width;
    for (int64_t right = columns.begin; right < columns.end; ++right) {
      if (Inside(row, shape.height) && Inside(column, shape.width)) {
        Interpolate(shape, Between(row, shape.height), Between(column, shape.width), pixels,
                    to + right);
      }
      row += row_step;
      column += column_step;
    }
  }
}

}  // namespace atelier::models
