#include "server/tensorboard/confusion_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/pictures/image_codec.h"
#include "models/pictures/tiled_picture.h"
#include "server/tensorboard/small_font.h"

namespace atelier::tensorboard {
namespace {

constexpr int kCell = 16;          // Pixels along the edge of a cell, its border with it.
constexpr int kMaxNamed = 100;     // Classes.
constexpr std::size_t kName = 20;  // Characters.
constexpr int kMargin = 4;
constexpr char kTag[] = "confusion_matrix";
constexpr char kAcross[] = "predicted";
constexpr char kDown[] = "true";

// The palette: greys from black to white, then what is around the cells.
constexpr int kGreys = 255;
constexpr std::uint8_t kPaper = kGreys;
constexpr std::array<std::uint8_t, 3> kPaperColor = {0x4a, 0x6f, 0xa5};
constexpr std::uint8_t kInk = kGreys - 1;

// The name as the font has it.
std::string Label(absl::string_view name) {
  std::string label;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // The rest of a character that stands already.
    label += byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  if (label.size() > kName) label.replace(kName - 2, std::string::npos, "..");
  return label;
}

class Canvas {
 public:
  Canvas(int height, int width)
      : height_(height),
        width_(width),
        pixels_(static_cast<std::size_t>(height) * static_cast<std::size_t>(width), kPaper) {}

  void Set(int row, int column, std::uint8_t color) {
    pixels_[static_cast<std::size_t>(row) * static_cast<std::size_t>(width_) +
            static_cast<std::size_t>(column)] = color;
  }
  void Fill(int row, int column, int size, std::uint8_t color) {
    for (int i = 0; i < size * size; ++i) Set(row + i / size, column + i % size, color);
  }
  // From its left upper corner to the right.
  void Write(int row, int column, absl::string_view text) {
    for (const char c : text) {
      ForEachDot(c, [&](int y, int x) { Set(row + y, column + x, kInk); });
      column += kGlyphWidth;
    }
  }
  // From its left lower corner upwards.
  void WriteUpwards(int row, int column, absl::string_view text) {
    for (const char c : text) {
      ForEachDot(c, [&](int y, int x) { Set(row - x, column + y, kInk); });
      row -= kGlyphWidth;
    }
  }

  absl::StatusOr<Picture> Encode() const {
    std::vector<std::uint8_t> palette;
    for (int i = 0; i < kGreys; ++i) {
      palette.insert(palette.end(), 3,
                     static_cast<std::uint8_t>(std::lround(i * 255.0 / (kGreys - 1))));
    }
    palette.insert(palette.end(), kPaperColor.begin(), kPaperColor.end());
    auto png = models::EncodePalettePng(height_, width_, pixels_, palette);
    if (!png.ok()) return png.status();
    return Picture{kTag, height_, width_, *std::move(png)};
  }

 private:
  const int height_;
  const int width_;
  std::vector<std::uint8_t> pixels_;
};

// The share of a true class's images in each cell, row by row.
std::vector<float> Shares(const v1::ConfusionMatrix& matrix) {
  std::vector<float> shares;
  for (const v1::ConfusionRow& row : matrix.rows()) {
    std::int64_t images = 0;
    for (const std::int64_t count : row.counts()) images += count;
    for (const std::int64_t count : row.counts()) {
      shares.push_back(static_cast<float>(count) /
                       static_cast<float>(std::max<std::int64_t>(images, 1)));
    }
  }
  return shares;
}

absl::StatusOr<Picture> DrawPlain(const v1::ConfusionMatrix& matrix) {
  auto drawn =
      models::DrawTiles(Shares(matrix), matrix.rows_size(), matrix.rows_size(), {.zoom = kCell});
  if (!drawn.ok()) return drawn.status();
  return Picture{kTag, drawn->layout.picture_height(), drawn->layout.picture_width(),
                 std::move(drawn->png)};
}

void DrawCells(const v1::ConfusionMatrix& matrix, int edge, Canvas* canvas) {
  const int classes = matrix.rows_size();
  const std::vector<float> shares = Shares(matrix);
  for (int i = 0; i < classes * classes; ++i) {
    const float share = shares[static_cast<std::size_t>(i)];
    canvas->Fill(edge + i / classes * kCell, edge + i % classes * kCell, kCell - 1,
                 static_cast<std::uint8_t>(std::lround(share * (kGreys - 1))));
  }
}

}  // namespace

absl::StatusOr<Picture> DrawConfusion(const v1::ConfusionMatrix& matrix) {
  const int classes = matrix.rows_size();
  bool square = classes > 0;
  for (const v1::ConfusionRow& row : matrix.rows()) square &= row.counts_size() == classes;
  if (!square) return absl::InternalError("The confusion matrix is not square.");
  if (classes > kMaxNamed || matrix.class_names_size() != classes) return DrawPlain(matrix);
  std::vector<std::string> labels;
  std::size_t longest = 0;
  for (const std::string& name : matrix.class_names()) {
    labels.push_back(Label(name));
    longest = std::max(longest, labels.back().size());
  }
  // What the axes are stands beyond the names.
  const int edge = 3 * kMargin + kGlyphHeight + static_cast<int>(longest) * kGlyphWidth;
  const int title = static_cast<int>(sizeof(kAcross)) * kGlyphWidth;
  const int size = edge + std::max(classes * kCell, title) + kMargin;
  Canvas canvas(size, size);
  DrawCells(matrix, edge, &canvas);
  canvas.Write(kMargin, edge, kAcross);
  canvas.WriteUpwards(edge + title, kMargin, kDown);
  constexpr int kInset = (kCell - kGlyphHeight) / 2;
  for (int i = 0; i < classes; ++i) {
    const std::string& label = labels[static_cast<std::size_t>(i)];
    const int length = static_cast<int>(label.size()) * kGlyphWidth;
    canvas.Write(edge + i * kCell + kInset, edge - kMargin - length, label);
    canvas.WriteUpwards(edge - kMargin - 1, edge + i * kCell + kInset, label);
  }
  return canvas.Encode();
}

}  // namespace atelier::tensorboard
