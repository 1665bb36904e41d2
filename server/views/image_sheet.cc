#include "server/views/image_sheet.h"

#include <algorithm>
#include <cstddef>

#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/pictures/image_codec.h"

namespace atelier::views {
namespace {

constexpr std::int64_t kGap = 2;
// Small images are enlarged to about this many pixels.
constexpr std::int64_t kWantedSide = 56;
constexpr std::int64_t kMaxPixels = 4'000'000;
constexpr std::uint8_t kBackground = 255;

// Which images stand where.
class Layout {
 public:
  Layout(const SheetRequest& request, absl::Span<const models::ClassLabel> labels,
         std::int64_t classes)
      : request_(request) {
    if (!request.indices.empty()) {
      AddChosen();
      return;
    }
    const std::int64_t rows =
        request.label.has_value() ? request.rows : std::min(request.rows, classes);
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t label = request.label.value_or(row);
      AddRow(label, labels);
    }
  }

  // As many rows as fit into the picture.
  void Cut(std::int64_t rows) {
    if (rows >= this->rows()) return;
    labels_.resize(std::min(labels_.size(), static_cast<std::size_t>(rows)));
    indices_.resize(static_cast<std::size_t>(rows * request_.columns));
  }

  std::int64_t rows() const {
    return static_cast<std::int64_t>(indices_.size()) / request_.columns;
  }
  const std::vector<std::int64_t>& indices() const { return indices_; }
  const std::vector<std::int64_t>& labels() const { return labels_; }

 private:
  void AddChosen() {
    const auto columns = static_cast<std::size_t>(request_.columns);
    indices_ = request_.indices;
    const std::size_t rows = (indices_.size() + columns - 1) / columns;
    indices_.resize(rows * columns, -1);
    Cut(request_.rows);
  }

  void AddRow(std::int64_t label, absl::Span<const models::ClassLabel> labels) {
    // Rows of one class go on where the last ended.
    std::int64_t at = request_.label.has_value() ? next_ : 0;
    std::int64_t found = 0;
    for (; at < request_.count && found < request_.columns; ++at) {
      if (labels[static_cast<std::size_t>(request_.begin + at)] != label) continue;
      indices_.push_back(at);
      ++found;
    }
    next_ = at;
    if (found == 0 && request_.label.has_value()) return;
    labels_.push_back(label);
    indices_.resize(labels_.size() * static_cast<std::size_t>(request_.columns), -1);
  }

  const SheetRequest& request_;
  std::vector<std::int64_t> indices_;
  std::vector<std::int64_t> labels_;
  std::int64_t next_ = 0;
};

// Copies an image to its place, enlarged.
void Paste(const models::Image& image, std::int64_t zoom, std::int64_t top, std::int64_t left,
           models::Image* sheet) {
  for (std::int64_t y = 0; y < image.height * zoom; ++y) {
    for (std::int64_t x = 0; x < image.width * zoom; ++x) {
      const std::int64_t from = (y / zoom * image.width + x / zoom) * image.channels;
      const std::int64_t to = ((top + y) * sheet->width + left + x) * image.channels;
      std::copy_n(image.pixels.begin() + from, image.channels, sheet->pixels.begin() + to);
    }
  }
}

}  // namespace

absl::StatusOr<Sheet> DrawSheet(const models::DatasetFile& file, const SheetRequest& request) {
  const models::DatasetInfo& info = file.summary().info;
  const models::ImageShape& shape = info.shape;
  const auto labels = file.ReadLabels(request.split);
  if (!labels.ok()) return labels.status();
  Layout layout(request, *labels, static_cast<std::int64_t>(info.class_names.size()));

  Sheet sheet;
  sheet.zoom = std::clamp<std::int64_t>(kWantedSide / std::max(shape.height, shape.width), 1, 8);
  const std::int64_t row_height = shape.height * sheet.zoom + kGap;
  const std::int64_t column_width = shape.width * sheet.zoom + kGap;
  models::Image picture;
  picture.width = kGap + request.columns * column_width;
  layout.Cut(std::max<std::int64_t>(1, kMaxPixels / picture.width / row_height));
  picture.height = kGap + layout.rows() * row_height;
  picture.channels = shape.channels;
  picture.pixels.assign(static_cast<std::size_t>(picture.height * picture.width * picture.channels),
                        kBackground);
  for (std::size_t i = 0; i < layout.indices().size(); ++i) {
    const std::int64_t index = layout.indices()[i];
    if (index < 0) continue;
    const auto image = file.ReadImage(request.split, request.begin + index);
    if (!image.ok()) return image.status();
    const auto place = static_cast<std::int64_t>(i);
    Paste(models::FromPlanar(shape, image->pixels), sheet.zoom,
          kGap + place / request.columns * row_height,
          kGap + place % request.columns * column_width, &picture);
  }
  auto png = models::EncodePng(picture);
  if (!png.ok()) return png.status();
  sheet.png = *std::move(png);
  sheet.indices = layout.indices();
  sheet.row_labels = layout.labels();
  return sheet;
}

}  // namespace atelier::views
