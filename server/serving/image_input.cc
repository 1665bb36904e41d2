#include "server/serving/image_input.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/serving/input_error.h"

namespace atelier::serving {
namespace {

std::string Describe(const models::ImageShape& shape) {
  return absl::StrCat(shape.channels, "×", shape.height, "×", shape.width);
}

// How many images `size` numbers are, if that is at least one and not too many.
absl::StatusOr<std::size_t> CountImages(absl::string_view field, std::size_t size,
                                        const models::ImageShape& shape, std::size_t limit) {
  const auto image = static_cast<std::size_t>(shape.size());
  if (size == 0 || size % image != 0) {
    return InputError(field, absl::StrCat("There are ", size,
                                          " pixels; they must be a positive "
                                          "multiple of ",
                                          image, ", the size of one ", Describe(shape), " image."));
  }
  if (size / image > limit) {
    return InputError(field, absl::StrCat("There are ", size / image,
                                          " images; a request may have ", limit, " at most."));
  }
  return size / image;
}

absl::StatusOr<CheckedImages> Check(const EncodedImages& input, const models::ImageShape& shape,
                                    const InputLimits& limits,
                                    const models::StillWanted& still_wanted) {
  if (input.files.empty() || input.files.size() > limits.max_files) {
    return InputError("encoded.files", absl::StrCat("There are ", input.files.size(),
                                                    " image files; a request must have 1 to ",
                                                    limits.max_files, "."));
  }
  CheckedImages images;
  images.count = input.files.size();
  images.decoded.reserve(images.count * static_cast<std::size_t>(shape.size()));
  std::int64_t decoded = 0;
  for (std::size_t i = 0; i < input.files.size(); ++i) {
    const auto wrong = [i](const absl::Status& status) {
      if (!absl::IsInvalidArgument(status)) return status;
      return InputError(absl::StrCat("encoded.files[", i, "]"), status.message());
    };
    const absl::string_view file(input.files[i].data(), input.files[i].size());
    auto image = models::DecodeImage(file, limits.decode, still_wanted);
    if (!image.ok()) return wrong(image.status());
    decoded += image->height * image->width;
    if (decoded > limits.max_file_pixels) {
      return InputError("encoded.files", absl::StrCat("The first ", i + 1, " pictures have ",
                                                      decoded, " pixels; those of a request may ",
                                                      "have ", limits.max_file_pixels, "."));
    }
    const auto pixels = models::FitImage(*std::move(image), shape, input.fit);
    if (!pixels.ok()) return wrong(pixels.status());
    images.decoded.insert(images.decoded.end(), pixels->begin(), pixels->end());
  }
  images.pixels = absl::MakeConstSpan(images.decoded);
  return images;
}

absl::StatusOr<CheckedImages> Check(const RawImages& input, const models::ImageShape& shape,
                                    const InputLimits& limits,
                                    const models::StillWanted& /*still_wanted*/) {
  const auto count = CountImages("raw.pixels", input.pixels.size(), shape, limits.max_images);
  if (!count.ok()) return count.status();
  return CheckedImages{input.pixels, *count, {}};
}

absl::StatusOr<CheckedImages> Check(const FloatImages& input, const models::ImageShape& shape,
                                    const InputLimits& limits,
                                    const models::StillWanted& /*still_wanted*/) {
  const auto count = CountImages("floats.pixels", input.pixels.size(), shape, limits.max_images);
  if (!count.ok()) return count.status();
  const auto wrong = std::find_if_not(input.pixels.begin(), input.pixels.end(),
                                      [](float value) { return value >= 0 && value <= 1; });
  if (wrong != input.pixels.end()) {
    return InputError("floats.pixels", absl::StrCat("Pixel ", wrong - input.pixels.begin(), " is ",
                                                    *wrong, "; it must be from 0 to 1."));
  }
  return CheckedImages{input.pixels, *count, {}};
}

}  // namespace

std::size_t SizeInBytes(const ImageInput& input) {
  struct Visitor {
    std::size_t operator()(const EncodedImages& images) const {
      std::size_t size = 0;
      for (const auto& file : images.files) size += file.size();
      return size;
    }
    std::size_t operator()(const RawImages& images) const { return images.pixels.size(); }
    std::size_t operator()(const FloatImages& images) const {
      return images.pixels.size() * sizeof(float);
    }
  };
  return std::visit(Visitor{}, input);
}

absl::StatusOr<CheckedImages> CheckImages(const ImageInput& input, const models::ImageShape& shape,
                                          const InputLimits& limits,
                                          const models::StillWanted& still_wanted) {
  return std::visit([&](const auto& images) { return Check(images, shape, limits, still_wanted); },
                    input);
}

}  // namespace atelier::serving
