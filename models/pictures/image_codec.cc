#include "models/pictures/image_codec.h"

#include <png.h>

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/pictures/picture_decoders.h"

namespace atelier::models {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

// A format that is read.
struct Format {
  absl::string_view name;
  bool (*begins)(absl::string_view file);
  absl::StatusOr<DecodedPicture> (*decode)(absl::string_view file, const DecodeLimits& limits,
                                           const StillWanted& still_wanted);
  absl::StatusOr<DecodedPicture> (*read_header)(absl::string_view file);
};

constexpr Format kFormats[] = {
    {"PNG", [](absl::string_view file) { return absl::StartsWith(file, kPngMagic); }, DecodePng,
     ReadPngHeader},
    {"JPEG", [](absl::string_view file) { return absl::StartsWith(file, kJpegMagic); }, DecodeJpeg,
     ReadJpegHeader},
    {"WebP", IsWebp, DecodeWebp, ReadWebpHeader},
};

// Null if the file is of none of them.
const Format* FormatOf(absl::string_view file) {
  for (const Format& format : kFormats) {
    if (format.begins(file)) return &format;
  }
  return nullptr;
}

// What other pictures begin with; BMP's two letters alone would say little.
bool IsBmp(absl::string_view file) {
  constexpr absl::string_view kReserved("\0\0\0\0", 4);
  return file.size() >= 14 && absl::StartsWith(file, "BM") && file.substr(6, 4) == kReserved;
}

absl::string_view OtherFormat(absl::string_view file) {
  if (IsBmp(file)) return "a BMP file";
  if (absl::StartsWith(file, "GIF8")) return "a GIF file";
  if (absl::StartsWith(file, absl::string_view("II*\0", 4)) ||
      absl::StartsWith(file, absl::string_view("MM\0*", 4))) {
    return "a TIFF file";
  }
  // ISO's container of media; its brand says of what.
  if (file.size() < 12 || file.substr(4, 4) != "ftyp") return "";
  const absl::string_view brand = file.substr(8, 4);
  if (brand == "avif") return "an AVIF file";
  return brand == "heic" || brand == "heix" || brand == "mif1" ? "a HEIC file" : "";
}

absl::Status NotRead(absl::string_view file) {
  const absl::string_view other = OtherFormat(file);
  if (other.empty()) return Bad("the picture is no PNG, JPEG or WebP file");
  return Bad(absl::StrCat("the picture is ", other,
                          "; PNG, JPEG and WebP files are read: convert it to one of these"));
}

// The picture as it is meant to be looked at, by EXIF's orientation.
Image Upright(Image image, int orientation) {
  if (orientation == 1) return image;
  const bool turned = orientation >= 5;
  const bool mirrored_x = orientation == 2 || orientation == 3 || orientation >= 7;
  const bool mirrored_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image upright{
      turned ? image.width : image.height, turned ? image.height : image.width, image.channels, {}};
  upright.pixels.reserve(image.pixels.size());
  for (int64_t y = 0; y < upright.height; ++y) {
    for (int64_t x = 0; x < upright.width; ++x) {
      const int64_t column = turned ? y : x;
      const int64_t row = turned ? x : y;
      const int64_t from_x = mirrored_x ? image.width - 1 - column : column;
      const int64_t from_y = mirrored_y ? image.height - 1 - row : row;
      const auto pixel = image.pixels.begin() + (from_y * image.width + from_x) * image.channels;
      upright.pixels.insert(upright.pixels.end(), pixel, pixel + image.channels);
    }
  }
  return upright;
}

// The palette is of RGB colours, and empty for formats without.
absl::StatusOr<std::string> WritePng(int64_t height, int64_t width, png_uint_32 format,
                                     absl::Span<const uint8_t> pixels,
                                     absl::Span<const uint8_t> palette) {
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  png.height = static_cast<png_uint_32>(height);
  png.width = static_cast<png_uint_32>(width);
  png.format = format;
  png.colormap_entries = static_cast<png_uint_32>(palette.size() / 3);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, 0, pixels.data(), 0, palette.data()) ==
      0) {
    return absl::InternalError(absl::StrCat("the PNG file cannot be made: ", png.message));
  }
  file.resize(size);
  return file;
}

}  // namespace

absl::Status CheckPictureSize(int64_t height, int64_t width, const DecodeLimits& limits) {
  const std::string size = absl::StrCat("the picture is ", height, "x", width, " pixels; at most ");
  if (height <= 0 || width <= 0 || height > limits.max_pixels / width) {
    return Bad(absl::StrCat(size, limits.max_pixels, " pixels are accepted"));
  }
  if (height > limits.max_side || width > limits.max_side) {
    return Bad(absl::StrCat(size, limits.max_side, " pixels a side are accepted"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> DecodeImage(absl::string_view file, const DecodeLimits& limits,
                                  const StillWanted& still_wanted) {
  if (file.empty()) return Bad("the picture is empty (zero bytes)");
  if (static_cast<int64_t>(file.size()) > limits.max_bytes) {
    return Bad(absl::StrCat("the picture has ", file.size(), " bytes; at most ", limits.max_bytes,
                            " are accepted"));
  }
  const Format* const format = FormatOf(file);
  if (format == nullptr) return NotRead(file);
  auto picture = format->decode(file, limits, still_wanted);
  if (!picture.ok()) return picture.status();
  return Upright(std::move(picture->image), picture->orientation);
}

bool BeginsAsPicture(absl::string_view file) { return FormatOf(file) != nullptr; }

absl::StatusOr<PictureHeader> ReadPictureHeader(absl::string_view file) {
  const Format* const format = FormatOf(file);
  if (format == nullptr) return NotRead(file);
  const auto header = format->read_header(file);
  if (!header.ok()) return header.status();
  PictureHeader picture{header->image.height, header->image.width, header->image.channels,
                        format->name};
  if (header->orientation >= 5) std::swap(picture.height, picture.width);
  return picture;
}

absl::StatusOr<Image> ConvertChannels(Image image, int64_t channels) {
  if (channels != 1 && channels != 3) {
    return Bad(absl::StrCat("a picture cannot have ", channels, " channels; 1 and 3 are possible"));
  }
  if (image.channels == channels) return image;
  Image converted{image.height, image.width, channels, {}};
  const size_t count = static_cast<size_t>(image.height * image.width);
  converted.pixels.resize(count * static_cast<size_t>(channels));
  for (size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      for (size_t c = 0; c < 3; ++c) converted.pixels[3 * i + c] = image.pixels[i];
    } else {
      const uint8_t* rgb = &image.pixels[3 * i];
      converted.pixels[i] =
          static_cast<uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
  }
  return converted;
}

std::vector<uint8_t> ToPlanar(const Image& image) {
  const size_t count = static_cast<size_t>(image.height * image.width);
  const size_t channels = static_cast<size_t>(image.channels);
  std::vector<uint8_t> planar(count * channels);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t i = 0; i < count; ++i) planar[c * count + i] = image.pixels[i * channels + c];
  }
  return planar;
}

Image FromPlanar(const ImageShape& shape, absl::Span<const uint8_t> pixels) {
  Image image{shape.height, shape.width, shape.channels, {}};
  const size_t count = static_cast<size_t>(shape.height * shape.width);
  const size_t channels = static_cast<size_t>(shape.channels);
  image.pixels.resize(pixels.size());
  for (size_t c = 0; c < channels; ++c) {
    for (size_t i = 0; i < count; ++i) image.pixels[i * channels + c] = pixels[c * count + i];
  }
  return image;
}

absl::StatusOr<std::string> EncodePng(const Image& image) {
  if (image.channels != 1 && image.channels != 3) {
    return Bad(absl::StrCat("a PNG file of ", image.channels,
                            " channels cannot be made; 1 and 3 are possible"));
  }
  if (image.height < 1 || image.width < 1 ||
      static_cast<int64_t>(image.pixels.size()) != image.height * image.width * image.channels) {
    return Bad(absl::StrCat("a picture of ", image.height, "x", image.width, "x", image.channels,
                            " cannot have ", image.pixels.size(), " bytes"));
  }
  return WritePng(image.height, image.width, image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY,
                  image.pixels, {});
}

absl::StatusOr<std::string> EncodePalettePng(int64_t height, int64_t width,
                                             absl::Span<const uint8_t> indices,
                                             absl::Span<const uint8_t> palette) {
  if (height < 1 || width < 1 || static_cast<int64_t>(indices.size()) != height * width ||
      palette.empty() || palette.size() % 3 != 0 || palette.size() > 3 * 256) {
    return Bad(absl::StrCat("a picture of ", height, "x", width, " cannot have ", indices.size(),
                            " pixels and a palette of ", palette.size(), " bytes"));
  }
  return WritePng(height, width, PNG_FORMAT_RGB_COLORMAP, indices, palette);
}

}  // namespace atelier::models
