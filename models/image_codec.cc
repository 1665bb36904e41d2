#include "models/image_codec.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <utility>

// Needs <cstdio> before it.
#include <jpeglib.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/exif.h"

namespace atelier::models {
namespace {

constexpr absl::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kJpegMagic("\xff\xd8\xff", 3);
constexpr absl::string_view kExifMagic("Exif\0\0", 6);
// Progressive files have about ten; each goes over the whole picture again, and a file of some
// megabytes could have a million.
constexpr int kMostScans = 100;

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

absl::Status CheckSize(int64_t height, int64_t width, const DecodeLimits& limits) {
  const std::string size = absl::StrCat("the picture is ", height, "x", width, " pixels; at most ");
  if (height <= 0 || width <= 0 || height > limits.max_pixels / width) {
    return Bad(absl::StrCat(size, limits.max_pixels, " pixels are accepted"));
  }
  if (height > limits.max_side || width > limits.max_side) {
    return Bad(absl::StrCat(size, limits.max_side, " pixels a side are accepted"));
  }
  return absl::OkStatus();
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

uint32_t BigEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = (value << 8) | static_cast<uint8_t>(byte);
  return value;
}

struct PngParts {
  std::string file;  // Without what the pixels do not need.
  int orientation = 1;
};

// Texts, profiles and the like are left out: they may hold megabytes in a few bytes, thousands of
// times, and would be unpacked before the first pixel.
absl::StatusOr<PngParts> TakeApartPng(absl::string_view file) {
  PngParts parts;
  parts.file.assign(kPngMagic.data(), kPngMagic.size());
  parts.file.reserve(file.size());
  absl::string_view rest = file.substr(kPngMagic.size());
  absl::string_view type;
  while (type != "IEND") {
    // Length, type, data, checksum.
    if (rest.size() < 12 || BigEndian(rest) > rest.size() - 12) {
      return Bad("the PNG file is damaged: it is truncated");
    }
    const absl::string_view chunk = rest.substr(0, BigEndian(rest) + 12);
    type = chunk.substr(4, 4);
    const bool critical = (type[0] & 0x20) == 0;
    if (critical || type == "tRNS" || type == "gAMA" || type == "cHRM" || type == "sRGB") {
      parts.file.append(chunk.data(), chunk.size());
    }
    if (type == "eXIf") parts.orientation = ExifOrientation(chunk.substr(8, chunk.size() - 12));
    rest.remove_prefix(chunk.size());
  }
  return parts;
}

absl::StatusOr<Image> DecodePng(absl::string_view file, const DecodeLimits& limits) {
  const absl::StatusOr<PngParts> parts = TakeApartPng(file);
  if (!parts.ok()) return parts.status();
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&png, parts->file.data(), parts->file.size()) == 0) {
    return Bad(absl::StrCat("the PNG file is damaged: ", png.message));
  }
  if (absl::Status status = CheckSize(png.height, png.width, limits); !status.ok()) {
    png_image_free(&png);
    return status;
  }
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  // Else 16 bits would mean linear light, which hardly any program writes.
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Image image{png.height, png.width, colour ? 3 : 1, {}};
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  const png_color white = {255, 255, 255};
  if (png_image_finish_read(&png, &white, image.pixels.data(), 0, nullptr) == 0) {
    return Bad(absl::StrCat("the PNG file is damaged: ", png.message));
  }
  return Upright(std::move(image), parts->orientation);
}

// libjpeg's way out of an error: back to where setjmp was called.
struct JpegErrors {
  jpeg_error_mgr base;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

void EscapeOnError(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  jpeg->err->format_message(jpeg, errors->message);
  std::longjmp(errors->escape, 1);
}

// Warnings mean that libjpeg made pixels up; counted as errors by the caller.
void NoteWarning(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  if (jpeg->err->num_warnings++ == 0) jpeg->err->format_message(jpeg, errors->message);
}

// Called again and again while a file is decoded.
void StopAtManyScans(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMostScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  std::snprintf(errors->message, sizeof(errors->message), "it has more than %d scans", kMostScans);
  std::longjmp(errors->escape, 1);
}

// Everything that libjpeg may jump out of, in functions without destructors. False on an error.
bool StartJpeg(jpeg_decompress_struct* jpeg, JpegErrors* errors, absl::string_view file) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg_create_decompress(jpeg);
  errors->progress.progress_monitor = StopAtManyScans;
  jpeg->progress = &errors->progress;
  jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_mem_src(jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(jpeg, TRUE);
  return true;
}

J_COLOR_SPACE ColoursOf(const jpeg_decompress_struct& jpeg) {
  if (jpeg.num_components == 1) return JCS_GRAYSCALE;
  return jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
}

bool FinishJpeg(jpeg_decompress_struct* jpeg, JpegErrors* errors, uint8_t* pixels) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg->out_color_space = ColoursOf(*jpeg);
  jpeg_start_decompress(jpeg);
  const size_t row_bytes = static_cast<size_t>(jpeg->output_width) * jpeg->output_components;
  while (jpeg->output_scanline < jpeg->output_height) {
    JSAMPROW row = pixels + jpeg->output_scanline * row_bytes;
    jpeg_read_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_decompress(jpeg);
  return jpeg->err->num_warnings == 0;
}

// Adobe's programs, which nearly all such files come from, write the inks inverted.
Image FromInks(Image inks, bool inverted) {
  Image image{inks.height, inks.width, 3, std::move(inks.pixels)};
  const size_t count = static_cast<size_t>(image.height * image.width);
  const auto light = [inverted](uint8_t ink) { return inverted ? ink : 255 - ink; };
  // In place: three of four bytes stay, so nothing is overwritten before it was read.
  for (size_t i = 0; i < count; ++i) {
    const int black = light(image.pixels[4 * i + 3]);
    for (size_t c = 0; c < 3; ++c) {
      const int value = light(image.pixels[4 * i + c]) * black;
      image.pixels[3 * i + c] = static_cast<uint8_t>((value + 127) / 255);
    }
  }
  image.pixels.resize(3 * count);
  return image;
}

int OrientationOf(const jpeg_decompress_struct& jpeg) {
  for (auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    absl::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (absl::ConsumePrefix(&data, kExifMagic)) return ExifOrientation(data);
  }
  return 1;
}

absl::StatusOr<Image> DecodeJpeg(absl::string_view file, const DecodeLimits& limits) {
  jpeg_decompress_struct jpeg = {};
  JpegErrors errors = {};
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = EscapeOnError;
  errors.base.emit_message = NoteWarning;
  const auto decode = [&]() -> absl::StatusOr<Image> {
    const auto damaged = [&] {
      return Bad(absl::StrCat("the JPEG file is damaged: ", errors.message));
    };
    if (!StartJpeg(&jpeg, &errors, file)) return damaged();
    if (absl::Status status = CheckSize(jpeg.image_height, jpeg.image_width, limits);
        !status.ok()) {
      return status;
    }
    // Gone once the file is finished.
    const int orientation = OrientationOf(jpeg);
    const bool inks = ColoursOf(jpeg) == JCS_CMYK;
    const int channels = inks ? 4 : ColoursOf(jpeg) == JCS_GRAYSCALE ? 1 : 3;
    Image image{jpeg.image_height, jpeg.image_width, channels, {}};
    image.pixels.resize(static_cast<size_t>(image.height * image.width * image.channels));
    if (!FinishJpeg(&jpeg, &errors, image.pixels.data())) return damaged();
    if (inks) image = FromInks(std::move(image), jpeg.saw_Adobe_marker == TRUE);
    return Upright(std::move(image), orientation);
  };
  absl::StatusOr<Image> image = decode();
  jpeg_destroy_decompress(&jpeg);
  return image;
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

absl::StatusOr<Image> DecodeImage(absl::string_view file, const DecodeLimits& limits) {
  if (file.empty()) return Bad("the picture is empty (zero bytes)");
  if (static_cast<int64_t>(file.size()) > limits.max_bytes) {
    return Bad(absl::StrCat("the picture has ", file.size(), " bytes; at most ", limits.max_bytes,
                            " are accepted"));
  }
  if (absl::StartsWith(file, kPngMagic)) return DecodePng(file, limits);
  if (absl::StartsWith(file, kJpegMagic)) return DecodeJpeg(file, limits);
  return Bad("the picture is neither a PNG nor a JPEG file");
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
