// Brings pictures of any size to what a network takes: channels, brightness, size. Thread-safe:
// free functions.
#ifndef ATELIER_MODELS_PICTURES_IMAGE_FIT_H_
#define ATELIER_MODELS_PICTURES_IMAGE_FIT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/image_shape.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

enum class Resize {
  kPad,      // Height to width stays; the rest is filled with the border's mean colour.
  kStretch,  // The whole size is filled.
  kNone,     // Another size is an error.
};

enum class Inversion {
  kNo,
  kYes,
  kAuto,  // If the border is brighter than half on average.
};

struct FitOptions {
  Resize resize = Resize::kPad;
  Inversion inversion = Inversion::kNo;
};

// C×H×W bytes of the picture for a network of that input: channels converted (ConvertChannels),
// then scaled, inverted and padded. kInvalidArgument if the channels cannot be converted, or for
// Resize::kNone and a picture of another size.
absl::StatusOr<std::vector<uint8_t>> FitImage(Image image, const ImageShape& shape,
                                              const FitOptions& options = {});

// The largest part in the middle of the image that has the proportions of height × width.
Image CropToProportions(Image image, int64_t height, int64_t width);

// The image at another size, at least 1×1: each direction shrinks by averaging the area that a
// pixel covers, and grows by linear interpolation between the centres of pixels.
Image Scale(const Image& image, int64_t height, int64_t width);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_IMAGE_FIT_H_
