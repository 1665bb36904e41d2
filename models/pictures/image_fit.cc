#include "models/pictures/image_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace atelier::models {
namespace {

// What one pixel is made of: neighbours from `first` on, with weights that add up to 1.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// The part of a line from `begin` to `end` in the source's pixels, by area.
Taps AreaTaps(double begin, double end, int64_t from) {
  Taps taps;
  taps.first = std::min(static_cast<int64_t>(begin), from - 1);
  const int64_t last = std::clamp(static_cast<int64_t>(std::ceil(end)) - 1, taps.first, from - 1);
  for (int64_t i = taps.first; i <= last; ++i) {
    const double covered =
        std::min(end, static_cast<double>(i + 1)) - std::max(begin, static_cast<double>(i));
    taps.weights.push_back(static_cast<float>(std::max(covered, 0.0) / (end - begin)));
  }
  return taps;
}

// Between the centres of two pixels.
Taps LinearTaps(double center, int64_t from) {
  const double at = std::clamp(center, 0.0, static_cast<double>(from - 1));
  const auto first = static_cast<int64_t>(at);
  const auto share = static_cast<float>(at - static_cast<double>(first));
  if (share == 0) return {first, {1}};
  return {first, {1 - share, share}};
}

std::vector<Taps> MakeTaps(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<Taps> taps;
  for (int64_t i = 0; i < to; ++i) {
    const auto at = static_cast<double>(i);
    taps.push_back(to < from ? AreaTaps(at * step, (at + 1) * step, from)
                             : LinearTaps((at + 0.5) * step - 0.5, from));
  }
  return taps;
}

// Height and width that a picture has within the network's input.
std::pair<int64_t, int64_t> FittedSize(const Image& image, const ImageShape& shape) {
  const auto scaled = [](int64_t side, int64_t to, int64_t from, int64_t limit) {
    const double exact =
        static_cast<double>(side) * static_cast<double>(to) / static_cast<double>(from);
    return std::clamp<int64_t>(std::llround(exact), 1, limit);
  };
  if (shape.width * image.height <= shape.height * image.width) {
    return {scaled(image.height, shape.width, image.width, shape.height), shape.width};
  }
  return {shape.height, scaled(image.width, shape.height, image.height, shape.width)};
}

// Mean of the outermost pixels, channel by channel.
std::array<double, 3> BorderMean(const Image& image) {
  std::array<double, 3> sums = {};
  int64_t count = 0;
  for (int64_t y = 0; y < image.height; ++y) {
    const bool whole = y == 0 || y == image.height - 1;
    const int64_t step = whole ? 1 : std::max<int64_t>(1, image.width - 1);
    for (int64_t x = 0; x < image.width; x += step, ++count) {
      for (int64_t c = 0; c < image.channels; ++c) {
        sums[static_cast<size_t>(c)] +=
            image.pixels[static_cast<size_t>((y * image.width + x) * image.channels + c)];
      }
    }
  }
  for (double& sum : sums) sum /= static_cast<double>(count);
  return sums;
}

double Brightness(const std::array<double, 3>& colour, int64_t channels) {
  if (channels == 1) return colour[0];
  return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
}

// The picture in the middle of a larger one of that colour.
Image Pad(const Image& image, const ImageShape& shape, const std::array<double, 3>& colour) {
  Image padded{shape.height, shape.width, image.channels, {}};
  padded.pixels.resize(static_cast<size_t>(shape.height * shape.width * image.channels));
  for (size_t i = 0; i < padded.pixels.size(); ++i) {
    const double value = colour[i % static_cast<size_t>(image.channels)];
    padded.pixels[i] = static_cast<uint8_t>(std::lround(value));
  }
  const int64_t top = (shape.height - image.height) / 2;
  const int64_t left = (shape.width - image.width) / 2;
  const int64_t row = image.width * image.channels;
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t to = ((top + y) * shape.width + left) * image.channels;
    std::copy_n(image.pixels.begin() + y * row, row, padded.pixels.begin() + to);
  }
  return padded;
}

}  // namespace

Image Scale(const Image& image, int64_t height, int64_t width) {
  if (image.height == height && image.width == width) return image;
  const std::vector<Taps> rows = MakeTaps(image.height, height);
  const std::vector<Taps> columns = MakeTaps(image.width, width);
  const auto channels = static_cast<size_t>(image.channels);
  const size_t row_size = static_cast<size_t>(image.width) * channels;
  Image scaled{height, width, image.channels, {}};
  scaled.pixels.reserve(static_cast<size_t>(height * width) * channels);
  // One row at a time, so that little is held beside the picture.
  std::vector<float> line(row_size);
  for (const Taps& row : rows) {
    std::fill(line.begin(), line.end(), 0.0f);
    const uint8_t* source = &image.pixels[static_cast<size_t>(row.first) * row_size];
    for (const float weight : row.weights) {
      for (size_t i = 0; i < row_size; ++i) line[i] += weight * source[i];
      source += row_size;
    }
    for (const Taps& column : columns) {
      for (size_t c = 0; c < channels; ++c) {
        float sum = 0.5f;
        const float* value = &line[static_cast<size_t>(column.first) * channels + c];
        for (const float weight : column.weights) {
          sum += weight * *value;
          value += channels;
        }
        scaled.pixels.push_back(static_cast<uint8_t>(std::min(sum, 255.0f)));
      }
    }
  }
  return scaled;
}

Image CropToProportions(Image image, int64_t height, int64_t width) {
  // Of the side that is too long.
  const int64_t rows =
      std::clamp<int64_t>((image.width * height + width / 2) / width, 1, image.height);
  const int64_t columns =
      std::clamp<int64_t>((image.height * width + height / 2) / height, 1, image.width);
  if (rows == image.height && columns == image.width) return image;
  const int64_t top = (image.height - rows) / 2;
  const int64_t left = (image.width - columns) / 2;
  Image part{rows, columns, image.channels, {}};
  part.pixels.reserve(static_cast<size_t>(rows * columns * image.channels));
  for (int64_t y = top; y < top + rows; ++y) {
    const auto from = image.pixels.begin() + (y * image.width + left) * image.channels;
    part.pixels.insert(part.pixels.end(), from, from + columns * image.channels);
  }
  return part;
}

absl::StatusOr<std::vector<uint8_t>> FitImage(Image image, const ImageShape& shape,
                                              const FitOptions& options) {
  const bool fits = image.height == shape.height && image.width == shape.width;
  if (!fits && options.resize == Resize::kNone) {
    return absl::InvalidArgumentError(absl::StrCat("the picture is ", image.height, "x",
                                                   image.width, " pixels; the model takes ",
                                                   shape.height, "x", shape.width));
  }
  absl::StatusOr<Image> converted = ConvertChannels(std::move(image), shape.channels);
  if (!converted.ok()) return converted.status();
  if (fits && options.inversion == Inversion::kNo) return ToPlanar(*converted);
  const auto [height, width] = options.resize == Resize::kPad
                                   ? FittedSize(*converted, shape)
                                   : std::pair(shape.height, shape.width);
  Image scaled = Scale(*converted, height, width);
  std::array<double, 3> border = BorderMean(scaled);
  const bool bright = Brightness(border, scaled.channels) > 127.5;
  if (options.inversion == Inversion::kYes || (options.inversion == Inversion::kAuto && bright)) {
    for (uint8_t& value : scaled.pixels) value = static_cast<uint8_t>(255 - value);
    for (double& value : border) value = 255 - value;
  }
  if (height == shape.height && width == shape.width) return ToPlanar(scaled);
  return ToPlanar(Pad(scaled, shape, border));
}

}  // namespace atelier::models
