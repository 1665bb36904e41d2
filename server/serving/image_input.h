// The images of a request in the forms they may come in, checked and made into what a network
// takes. Thread-safe: free functions.
#ifndef ATELIER_SERVER_SERVING_IMAGE_INPUT_H_
#define ATELIER_SERVER_SERVING_IMAGE_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/network/architecture.h"
#include "models/pictures/image_codec.h"
#include "models/pictures/image_fit.h"
#include "server/serving/engine.h"

namespace atelier::serving {

// PNG, JPEG or still WebP files, one image each, and how they are brought to the model's size.
struct EncodedImages {
  std::vector<absl::Span<const char>> files;
  models::FitOptions fit = {};
};
// Bytes 0 to 255, N×C×H×W.
struct RawImages {
  absl::Span<const std::uint8_t> pixels;
};
// Numbers 0 to 1, N×C×H×W.
struct FloatImages {
  absl::Span<const float> pixels;
};

// Views of memory that is the caller's.
using ImageInput = std::variant<EncodedImages, RawImages, FloatImages>;

struct InputLimits {
  std::size_t max_images = 4096;
  std::size_t max_files = 256;
  models::DecodeLimits decode = {.max_bytes = std::int64_t{10} << 20, .max_pixels = 16'000'000};
  // Of all files of a request: what decoding it may take of the time of others.
  std::int64_t max_file_pixels = 64'000'000;
};

// Images that a network of a known shape can take.
struct CheckedImages {
  Pixels pixels;  // Of the request, or of `decoded`.
  std::size_t count = 0;
  std::vector<std::uint8_t> decoded;
};

// Bytes that the images take where they are.
std::size_t SizeInBytes(const ImageInput& input);

// Decodes, converts and checks. InputError naming `encoded.files`, `encoded.files[i]`, `raw.pixels`
// or `floats.pixels` for: no image or too many, a size that is no multiple of an image's, a file
// that is too large, damaged, of another format or, with Resize::kNone, of another size, files that
// are too large together, a number that is not from 0 to 1. The status of `still_wanted`, which is
// asked while files are decoded, if that is an error.
absl::StatusOr<CheckedImages> CheckImages(const ImageInput& input, const models::ImageShape& shape,
                                          const InputLimits& limits,
                                          const models::StillWanted& still_wanted = {});

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_IMAGE_INPUT_H_
