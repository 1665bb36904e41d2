// PNG, JPEG and WebP files, with their EXIF orientation.
#include "models/pictures/exif.h"
#include "models/pictures/image_codec.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view file = atelier::fuzz::Text(data, size);
  // Larger pictures take longer and find nothing else.
  const atelier::models::DecodeLimits limits = {
      .max_bytes = 1 << 20, .max_pixels = 1 << 16, .max_side = 4096};
  const auto image = atelier::models::DecodeImage(file, limits);
  if (image.ok() &&
      image->pixels.size() != static_cast<size_t>(image->height * image->width * image->channels)) {
    std::abort();
  }
  (void)atelier::models::ReadPictureHeader(file);
  (void)atelier::models::ExifOrientation(file);
  return 0;
}
