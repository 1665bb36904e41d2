// JPEG files by libjpeg(-turbo). Of its warnings only those end the decoding which mean that pixels
// were made up.
#include <csetjmp>
#include <cstdio>
#include <utility>

// Need <cstdio> before them.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/pictures/exif.h"
#include "models/pictures/picture_decoders.h"

namespace atelier::models {
namespace {

constexpr absl::string_view kExifMagic("Exif\0\0", 6);
// Progressive files have about ten; each goes over the whole picture again, and a file of some
// megabytes could have a million.
constexpr int kMostScans = 100;
// Of the largest picture.
constexpr int kScansOfTheLargest = 20;

// libjpeg's way out of an error: back to where setjmp was called.
struct JpegErrors {
  jpeg_error_mgr base;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
  int most_scans;
  const StillWanted* still_wanted;
  absl::Status stopped;  // By still_wanted.
};

JpegErrors* ErrorsOf(j_common_ptr jpeg) { return reinterpret_cast<JpegErrors*>(jpeg->err); }

void EscapeOnError(j_common_ptr jpeg) {
  jpeg->err->format_message(jpeg, ErrorsOf(jpeg)->message);
  std::longjmp(ErrorsOf(jpeg)->escape, 1);
}

// All pixels are the file's own after these: bytes too many before a marker (cameras pad), an
// unknown JFIF version, parameters that a sequential scan does not use, an unknown colour code of
// Adobe's, a damaged colour profile.
bool IsHarmless(int warning) {
  return warning == JWRN_EXTRANEOUS_DATA || warning == JWRN_JFIF_MAJOR ||
         warning == JWRN_NOT_SEQUENTIAL || warning == JWRN_ADOBE_XFORM || warning == JWRN_BOGUS_ICC;
}

// Other warnings mean that libjpeg made pixels up; counted as errors by the caller.
void NoteWarning(j_common_ptr jpeg, int level) {
  if (level >= 0 || IsHarmless(jpeg->err->msg_code)) return;
  if (jpeg->err->num_warnings++ == 0) jpeg->err->format_message(jpeg, ErrorsOf(jpeg)->message);
}

// Called again and again while a file is decoded, at least once in sixteen rows of each scan.
void StopIfTooMuch(j_common_ptr jpeg) {
  JpegErrors* errors = ErrorsOf(jpeg);
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > errors->most_scans) {
    std::snprintf(errors->message, sizeof(errors->message), "it has more than %d scans",
                  errors->most_scans);
    std::longjmp(errors->escape, 1);
  }
  if (*errors->still_wanted) errors->stopped = (*errors->still_wanted)();
  if (!errors->stopped.ok()) std::longjmp(errors->escape, 1);
}

// Everything that libjpeg may jump out of, in functions without destructors. False on an error.
bool StartJpeg(jpeg_decompress_struct* jpeg, JpegErrors* errors, absl::string_view file) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg_create_decompress(jpeg);
  errors->progress.progress_monitor = StopIfTooMuch;
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

absl::Status WhyNot(const JpegErrors& errors) {
  if (!errors.stopped.ok()) return errors.stopped;
  return absl::InvalidArgumentError(absl::StrCat("the JPEG file is damaged: ", errors.message));
}

Image SizeOf(const jpeg_decompress_struct& jpeg) {
  const int channels = ColoursOf(jpeg) == JCS_GRAYSCALE ? 1 : 3;
  return {jpeg.image_height, jpeg.image_width, channels, {}};
}

absl::StatusOr<DecodedPicture> Decode(jpeg_decompress_struct* jpeg, JpegErrors* errors,
                                      absl::string_view file, const DecodeLimits& limits) {
  if (!StartJpeg(jpeg, errors, file)) return WhyNot(*errors);
  const absl::Status status = CheckPictureSize(jpeg->image_height, jpeg->image_width, limits);
  if (!status.ok()) return status;
  // Gone once the file is finished.
  const int orientation = OrientationOf(*jpeg);
  const bool inks = ColoursOf(*jpeg) == JCS_CMYK;
  const int channels = inks ? 4 : ColoursOf(*jpeg) == JCS_GRAYSCALE ? 1 : 3;
  Image image{jpeg->image_height, jpeg->image_width, channels, {}};
  const int64_t pixels = image.height * image.width;
  errors->most_scans = static_cast<int>(
      std::min<int64_t>(kMostScans, kScansOfTheLargest * limits.max_pixels / pixels));
  image.pixels.resize(static_cast<size_t>(pixels * channels));
  if (!FinishJpeg(jpeg, errors, image.pixels.data())) return WhyNot(*errors);
  if (inks) image = FromInks(std::move(image), jpeg->saw_Adobe_marker == TRUE);
  return DecodedPicture{std::move(image), orientation};
}

// What `use` makes of a decompressor that is set up.
template <typename Use>
absl::StatusOr<DecodedPicture> WithDecompressor(const StillWanted& still_wanted, Use&& use) {
  jpeg_decompress_struct jpeg = {};
  JpegErrors errors = {};
  errors.most_scans = kMostScans;
  errors.still_wanted = &still_wanted;
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = EscapeOnError;
  errors.base.emit_message = NoteWarning;
  absl::StatusOr<DecodedPicture> picture = use(&jpeg, &errors);
  jpeg_destroy_decompress(&jpeg);
  return picture;
}

}  // namespace

absl::StatusOr<DecodedPicture> ReadJpegHeader(absl::string_view file) {
  return WithDecompressor({}, [&](auto* jpeg, auto* errors) -> absl::StatusOr<DecodedPicture> {
    if (!StartJpeg(jpeg, errors, file)) return WhyNot(*errors);
    return DecodedPicture{SizeOf(*jpeg), OrientationOf(*jpeg)};
  });
}

absl::StatusOr<DecodedPicture> DecodeJpeg(absl::string_view file, const DecodeLimits& limits,
                                          const StillWanted& still_wanted) {
  return WithDecompressor(
      still_wanted, [&](auto* jpeg, auto* errors) { return Decode(jpeg, errors, file, limits); });
}

}  // namespace atelier::models
