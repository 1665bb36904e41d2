// The decoders behind DecodeImage (image_codec.h), each for files that begin with its format's
// signature. Thread-safe: free functions.
#ifndef ATELIER_MODELS_PICTURES_PICTURE_DECODERS_H_
#define ATELIER_MODELS_PICTURES_PICTURE_DECODERS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

inline constexpr absl::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
inline constexpr absl::string_view kJpegMagic("\xff\xd8\xff", 3);
// WebP's signature has the file's size in the middle.
bool IsWebp(absl::string_view file);

// A picture as its file has it.
struct DecodedPicture {
  Image image;
  int orientation = 1;  // EXIF's.
};

// kInvalidArgument for what is damaged or too large; the status of `still_wanted` if it ended the
// decoding.
absl::StatusOr<DecodedPicture> DecodePng(absl::string_view file, const DecodeLimits& limits,
                                         const StillWanted& still_wanted);
absl::StatusOr<DecodedPicture> DecodeJpeg(absl::string_view file, const DecodeLimits& limits,
                                          const StillWanted& still_wanted);
absl::StatusOr<DecodedPicture> DecodeWebp(absl::string_view file, const DecodeLimits& limits,
                                          const StillWanted& still_wanted);

// What the file says of the picture before anything is decoded: its size and channels, as the
// decoders above give them, and its orientation; no pixels. kInvalidArgument.
absl::StatusOr<DecodedPicture> ReadPngHeader(absl::string_view file);
absl::StatusOr<DecodedPicture> ReadJpegHeader(absl::string_view file);
absl::StatusOr<DecodedPicture> ReadWebpHeader(absl::string_view file);

// Before anything is decoded.
absl::Status CheckPictureSize(int64_t height, int64_t width, const DecodeLimits& limits);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_PICTURE_DECODERS_H_
