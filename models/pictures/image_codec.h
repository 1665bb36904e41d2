// PNG, JPEG and WebP files to pixels, and PNG files back, for images that strangers send: sizes are
// checked against limits before anything is decoded, and damaged data is an error, never a crash or
// a grey half. Thread-safe: free functions.
#ifndef ATELIER_MODELS_PICTURES_IMAGE_CODEC_H_
#define ATELIER_MODELS_PICTURES_IMAGE_CODEC_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"

namespace atelier::models {

// 8-bit pixels, height × width × channels: rows from the top, channels of a pixel side by side.
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  // 1 (grey) or 3 (red, green, blue).
  int64_t channels = 0;
  std::vector<uint8_t> pixels;
};

struct DecodeLimits {
  // Size of the file.
  int64_t max_bytes = int64_t{16} << 20;
  // Height × width.
  int64_t max_pixels = int64_t{16} << 20;
  // Height, and width: JPEG's own limit.
  int64_t max_side = 65'535;
};

// Asked again and again while a file is decoded, each time after a bounded amount of work; an error
// ends the decoding and is its answer. May be empty; must not wait.
using StillWanted = std::function<absl::Status()>;

// Decodes a PNG, JPEG or still WebP file, told apart by its first bytes, and turns it upright as
// its EXIF orientation says. Grey files give one channel, all others (every WebP file among them)
// three: palettes are looked up, 16 bits become 8 (by a PNG's sBIT where its samples are stored
// unscaled), CMYK becomes red, green and blue, a PNG's gamma is made sRGB's; other colour profiles
// are ignored. What is transparent is laid over white, or over black if nothing would be seen on
// white. kInvalidArgument, with a sentence, for anything else: empty, too large, of another format,
// truncated, damaged, wholly transparent, or made to take for ever.
absl::StatusOr<Image> DecodeImage(absl::string_view file, const DecodeLimits& limits = {},
                                  const StillWanted& still_wanted = {});

// What DecodeImage would give, without its pixels: far cheaper. kInvalidArgument for files of other
// formats, and for some of what is damaged.
struct PictureHeader {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  // "PNG", "JPEG" or "WebP".
  absl::string_view format;
};
absl::StatusOr<PictureHeader> ReadPictureHeader(absl::string_view file);

// Whether the file begins as a PNG, JPEG or WebP file does.
bool BeginsAsPicture(absl::string_view file);

// The image with that many channels: grey by Rec. 601 luma (0.299 R + 0.587 G + 0.114 B, rounded),
// colour by repeating the grey. kInvalidArgument if `channels` is neither 1 nor 3.
absl::StatusOr<Image> ConvertChannels(Image image, int64_t channels);

// C×H×W bytes, as networks and data sets have them, of an image, and back. FromPlanar requires
// pixels.size() == shape.size().
std::vector<uint8_t> ToPlanar(const Image& image);
Image FromPlanar(const ImageShape& shape, absl::Span<const uint8_t> pixels);

// A PNG file. kInvalidArgument unless the image has 1 or 3 channels and as many pixels as it says.
absl::StatusOr<std::string> EncodePng(const Image& image);

// A PNG file of at most 256 colours. `indices` are height × width of them into `palette`, which has
// red, green and blue of each colour. kInvalidArgument unless the sizes fit; every index must be
// one of the palette's.
absl::StatusOr<std::string> EncodePalettePng(int64_t height, int64_t width,
                                             absl::Span<const uint8_t> indices,
                                             absl::Span<const uint8_t> palette);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_IMAGE_CODEC_H_
