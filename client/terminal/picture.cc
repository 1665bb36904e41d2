#include "client/terminal/picture.h"

#include <array>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

struct Color {
  int red = 0;
  int green = 0;
  int blue = 0;

  int Brightness() const { return (299 * red + 587 * green + 114 * blue) / 1000; }
  bool IsGrey() const { return red == green && green == blue; }
};

class Pixels {
 public:
  Pixels(absl::string_view bytes, const v1::ImageShape& shape) : bytes_(bytes), shape_(shape) {}

  // Black below the last row.
  Color At(int row, int column) const {
    if (row >= shape_.height()) return {};
    if (shape_.channels() < 3)
      return {Byte(0, row, column), Byte(0, row, column), Byte(0, row, column)};
    return {Byte(0, row, column), Byte(1, row, column), Byte(2, row, column)};
  }

 private:
  int Byte(int channel, int row, int column) const {
    const auto at = (static_cast<std::size_t>(channel) * static_cast<std::size_t>(shape_.height()) +
                     static_cast<std::size_t>(row)) *
                        static_cast<std::size_t>(shape_.width()) +
                    static_cast<std::size_t>(column);
    return static_cast<unsigned char>(bytes_[at]);
  }

  const absl::string_view bytes_;
  const v1::ImageShape& shape_;
};

// The nearest of the 256 colours that every terminal has: 24 greys and a cube of 6×6×6.
int TerminalColor(const Color& color) {
  if (color.IsGrey()) {
    constexpr int kBlack = 16;
    constexpr int kWhite = 231;
    const int grey = (color.red - 3) / 10;
    return color.red < 4 ? kBlack : grey > 23 ? kWhite : 232 + grey;
  }
  const auto level = [](int value) { return (value * 5 + 127) / 255; };
  return 16 + 36 * level(color.red) + 6 * level(color.green) + level(color.blue);
}

std::string ColoredCell(const Color& upper, const Color& lower) {
  return absl::StrCat("\x1b[38;5;", TerminalColor(upper), ";48;5;", TerminalColor(lower), "m▀");
}

std::string PlainCell(const Color& upper, const Color& lower) {
  constexpr std::array<const char*, 5> kDensities = {" ", "░", "▒", "▓", "█"};
  const int brightness = (upper.Brightness() + lower.Brightness()) / 2;
  return kDensities[static_cast<std::size_t>((brightness * 4 + 127) / 255)];
}

}  // namespace

std::vector<std::string> DrawPicture(absl::string_view pixels, const v1::ImageShape& shape,
                                     const Style& style, int max_width) {
  const std::int64_t size = std::int64_t{shape.channels()} * shape.height() * shape.width();
  if (shape.channels() < 1 || shape.height() < 1 || shape.width() < 1 || max_width < 1 ||
      size != static_cast<std::int64_t>(pixels.size())) {
    return {};
  }
  const Pixels picture(pixels, shape);
  const int stride = (shape.width() + max_width - 1) / max_width;
  std::vector<std::string> lines;
  for (int row = 0; row < shape.height(); row += 2 * stride) {
    std::string line;
    for (int column = 0; column < shape.width(); column += stride) {
      const Color upper = picture.At(row, column);
      const Color lower = picture.At(row + stride, column);
      line += style.color() ? ColoredCell(upper, lower) : PlainCell(upper, lower);
    }
    if (style.color()) line += "\x1b[0m";
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace atelier::client
