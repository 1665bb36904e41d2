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

namespace atelier::models {
namespace {

constexpr absl::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
// The last chunk's name and checksum; a file without it was cut off.
constexpr absl::string_view kPngEnd("IEND\xae\x42\x60\x82", 8);
constexpr absl::string_view kJpegMagic("\xff\xd8\xff", 3);

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

absl::Status CheckSize(int64_t height, int64_t width, const DecodeLimits& limits) {
  if (height > 0 && width > 0 && height <= limits.max_pixels / width) return absl::OkStatus();
  return Bad(absl::StrCat("the picture is ", height, "x", width, " pixels; at most ",
                          limits.max_pixels, " pixels are accepted"));
}

absl::StatusOr<Image> DecodePng(absl::string_view file, const DecodeLimits& limits) {
  if (!absl::StrContains(file, kPngEnd)) return Bad("the PNG file is damaged: it is truncated");
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&png, file.data(), file.size()) == 0) {
    return Bad(absl::StrCat("the PNG file is damaged: ", png.message));
  }
  if (absl::Status status = CheckSize(png.height, png.width, limits); !status.ok()) {
    png_image_free(&png);
    return status;
  }
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  Image image{png.height, png.width, colour ? 3 : 1, {}};
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  const png_color black = {0, 0, 0};
  if (png_image_finish_read(&png, &black, image.pixels.data(), 0, nullptr) == 0) {
    return Bad(absl::StrCat("the PNG file is damaged: ", png.message));
  }
  return image;
}

// libjpeg's way out of an error: back to where setjmp was called.
struct JpegErrors {
  jpeg_error_mgr base;
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

// Everything that libjpeg may jump out of, in functions without destructors. False on an error.
bool StartJpeg(jpeg_decompress_struct* jpeg, JpegErrors* errors, absl::string_view file) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg_create_decompress(jpeg);
  jpeg_mem_src(jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(jpeg, TRUE);
  return true;
}

bool FinishJpeg(jpeg_decompress_struct* jpeg, JpegErrors* errors, uint8_t* pixels) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(jpeg);
  const size_t row_bytes = static_cast<size_t>(jpeg->output_width) * jpeg->output_components;
  while (jpeg->output_scanline < jpeg->output_height) {
    JSAMPROW row = pixels + jpeg->output_scanline * row_bytes;
    jpeg_read_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_decompress(jpeg);
  return jpeg->err->num_warnings == 0;
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
    Image image{jpeg.image_height, jpeg.image_width, jpeg.num_components == 1 ? 1 : 3, {}};
    image.pixels.resize(static_cast<size_t>(image.height * image.width * image.channels));
    if (!FinishJpeg(&jpeg, &errors, image.pixels.data())) return damaged();
    return image;
  };
  absl::StatusOr<Image> image = decode();
  jpeg_destroy_decompress(&jpeg);
  return image;
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

absl::StatusOr<std::vector<uint8_t>> DecodeForShape(absl::string_view file, const ImageShape& shape,
                                                    const DecodeLimits& limits) {
  absl::StatusOr<Image> image = DecodeImage(file, limits);
  if (!image.ok()) return image.status();
  if (image->height != shape.height || image->width != shape.width) {
    return Bad(absl::StrCat("the picture is ", image->height, "x", image->width,
                            " pixels; the model takes ", shape.height, "x", shape.width));
  }
  image = ConvertChannels(*std::move(image), shape.channels);
  if (!image.ok()) return image.status();
  return ToPlanar(*image);
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
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, 0, image.pixels.data(), 0, nullptr) ==
      0) {
    return absl::InternalError(absl::StrCat("the PNG file cannot be made: ", png.message));
  }
  file.resize(size);
  return file;
}

}  // namespace atelier::models
