// PNG files by libpng's push reader: it is fed piece by piece, so that decoding can end between two
// of them, and it unpacks nothing once the picture is complete. Its rows are right in every kind of
// file; those of libpng's simplified interface are not where 16 bits are interlaced.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/pictures/exif.h"
#include "models/pictures/picture_decoders.h"
#include "models/pictures/transparency.h"

namespace atelier::models {
namespace {

// Fed at once. It unpacks to 4 MB at most.
constexpr size_t kPieceBytes = 4096;

absl::Status Damaged(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("the PNG file is damaged: ", why));
}

uint32_t BigEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = (value << 8) | static_cast<uint8_t>(byte);
  return value;
}

struct PngParts {
  // The signature and the header, then the rest that decides the pixels, in order.
  absl::string_view header;
  std::vector<absl::string_view> rest;
  bool transparency = false;      // There is a tRNS chunk.
  bool significant_bits = false;  // There is an sBIT chunk.
  int orientation = 1;
};

// Takes in a chunk (length, type, data, checksum) that follows the header.
void TakeChunk(absl::string_view chunk, PngParts* parts) {
  const absl::string_view type = chunk.substr(4, 4);
  const bool critical = (type[0] & 0x20) == 0;
  parts->transparency |= type == "tRNS";
  parts->significant_bits |= type == "sBIT";
  if (type == "eXIf") parts->orientation = ExifOrientation(chunk.substr(8, chunk.size() - 12));
  if (!critical && type != "tRNS" && type != "gAMA" && type != "sRGB" && type != "sBIT") return;
  if (!parts->rest.empty() && parts->rest.back().end() == chunk.begin()) {
    absl::string_view& last = parts->rest.back();
    last = absl::string_view(last.data(), last.size() + chunk.size());
  } else {
    parts->rest.push_back(chunk);
  }
}

// Texts, profiles and the like are left out: they may hold megabytes in a few bytes, thousands of
// times, and would be unpacked before the first pixel.
absl::StatusOr<PngParts> TakeApart(absl::string_view file) {
  PngParts parts;
  absl::string_view rest = file.substr(kPngMagic.size());
  absl::string_view type;
  while (type != "IEND") {
    if (rest.size() < 12 || BigEndian(rest) > rest.size() - 12) {
      return Damaged("it is truncated");
    }
    const absl::string_view chunk = rest.substr(0, BigEndian(rest) + 12);
    type = chunk.substr(4, 4);
    if (!parts.header.empty()) {
      TakeChunk(chunk, &parts);
    } else if (type == "IHDR") {
      parts.header = file.substr(0, kPngMagic.size() + chunk.size());
    } else if (type == "CgBI") {
      return absl::InvalidArgumentError(
          "the picture is in Apple's own variant of PNG (CgBI), which only Apple's programs read; "
          "save it as a standard PNG file");
    } else {
      return Damaged("it does not begin with its header");
    }
    rest.remove_prefix(chunk.size());
  }
  return parts;
}

// Sees the rows of a file that it is fed. libpng's way out of an error is a jump into Feed, so what
// OnHeader and OnRow hold when they call libpng must need no destructor.
class PngReader {
 public:
  PngReader() : png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning)) {
    if (png_ == nullptr) return;
    info_ = png_create_info_struct(png_);
    // Sizes are checked elsewhere, with a sentence that names them.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_progressive_read_fn(png_, this, HeaderRead, RowRead, nullptr);
  }
  virtual ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  absl::Status Feed(absl::string_view bytes) {
    if (info_ == nullptr) return absl::ResourceExhaustedError("there is no memory left");
    if (!Process(bytes)) return Damaged(message_);
    return absl::OkStatus();
  }

  // Feeds all of them unless Done() comes first.
  absl::Status FeedAll(const std::vector<absl::string_view>& parts,
                       const StillWanted& still_wanted) {
    for (absl::string_view part : parts) {
      while (!part.empty() && !Done()) {
        if (still_wanted) {
          if (absl::Status status = still_wanted(); !status.ok()) return status;
        }
        if (absl::Status status = Feed(part.substr(0, kPieceBytes)); !status.ok()) return status;
        part.remove_prefix(std::min(kPieceBytes, part.size()));
      }
    }
    return absl::OkStatus();
  }

  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t width() const { return png_get_image_width(png_, info_); }
  int colour_type() const { return png_get_color_type(png_, info_); }
  int depth() const { return png_get_bit_depth(png_, info_); }
  bool interlaced() const { return png_get_interlace_type(png_, info_) != PNG_INTERLACE_NONE; }

 protected:
  // Before the first row: must end with png_read_update_info.
  virtual void OnHeader() = 0;
  virtual void OnRow(png_bytep row, png_uint_32 y, int pass) = 0;
  // Nothing more need be fed.
  virtual bool Done() const { return false; }

  png_structp png() const { return png_; }
  png_infop info() const { return info_; }

 private:
  bool Process(absl::string_view bytes) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_process_data(png_, info_, reinterpret_cast<png_bytep>(const_cast<char*>(bytes.data())),
                     bytes.size());
    return true;
  }

  static void OnError(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader->message_, sizeof(reader->message_), "%s", message);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}
  static void HeaderRead(png_structp png, png_infop /*info*/) {
    static_cast<PngReader*>(png_get_progressive_ptr(png))->OnHeader();
  }
  static void RowRead(png_structp png, png_bytep row, png_uint_32 y, int pass) {
    static_cast<PngReader*>(png_get_progressive_ptr(png))->OnRow(row, y, pass);
  }

  png_structp png_;
  png_infop info_ = nullptr;
  char message_[200] = {};
};

// The largest value of each channel, alpha last, by the file's sBIT; by its depth where there is
// none.
std::array<uint32_t, 4> SignificantMaxima(png_structp png, png_infop info, int depth) {
  const uint32_t all = (1u << depth) - 1;
  std::array<uint32_t, 4> most = {all, all, all, all};
  png_color_8p bits = nullptr;
  if (png_get_sBIT(png, info, &bits) == 0) return most;
  const int type = png_get_color_type(png, info);
  const auto set = [&](size_t channel, int count) {
    if (count > 0 && count < depth) most[channel] = (1u << count) - 1;
  };
  const bool colour = (type & PNG_COLOR_MASK_COLOR) != 0;
  set(0, colour ? bits->red : bits->gray);
  if (colour) set(1, bits->green), set(2, bits->blue);
  if ((type & PNG_COLOR_MASK_ALPHA) != 0) set(colour ? 3 : 1, bits->alpha);
  return most;
}

// Finds files whose samples are stored as they are, 12 bits in 16 for instance, and not scaled to
// the whole range as PNG demands: no sample is larger than sBIT says, and some have more in their
// lower bits than scaling ever leaves there.
class ScaleDetector final : public PngReader {
 public:
  bool unscaled() const { return fits_ && low_bits_; }

 private:
  void OnHeader() override {
    channels_ = png_get_channels(png(), info());
    bytes_ = static_cast<size_t>(depth() / 8);
    range_ = 1u << depth();
    const bool has_samples = depth() >= 8 && colour_type() != PNG_COLOR_TYPE_PALETTE;
    if (has_samples) most_ = SignificantMaxima(png(), info(), depth());
    fits_ = has_samples && most_[0] < range_ - 1;
    png_read_update_info(png(), info());
  }

  void OnRow(png_bytep row, png_uint_32 /*y*/, int pass) override {
    const auto all = static_cast<png_uint_32>(width());
    const size_t columns = interlaced() ? PNG_PASS_COLS(all, pass) : all;
    for (size_t i = 0; fits_ && i < columns * channels_; ++i) {
      const png_bytep at = row + i * bytes_;
      const uint32_t sample = bytes_ == 2 ? (at[0] << 8u) | at[1] : at[0];
      const uint32_t most = most_[i % channels_];
      // What lies below the significant bits of a scaled sample.
      const uint32_t below = range_ / (most + 1) - 1;
      fits_ = sample <= most;
      low_bits_ |= (sample & below) > 1;
    }
  }

  bool Done() const override { return !fits_; }

  size_t channels_ = 1;
  size_t bytes_ = 1;
  uint32_t range_ = 0;
  std::array<uint32_t, 4> most_ = {};
  bool fits_ = true;
  bool low_bits_ = false;
};

// Decodes to 8 bits: grey or colour, with alpha behind if `alpha`.
class PixelReader final : public PngReader {
 public:
  // After the header.
  void Start(bool alpha, bool unscaled) {
    alpha_ = alpha;
    unscaled_ = unscaled;
    row_bytes_ = static_cast<size_t>(width()) * channels();
    pixels_.resize(static_cast<size_t>(height()) * row_bytes_);
  }

  size_t colours() const { return (colour_type() & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1; }
  size_t channels() const { return colours() + (alpha_ ? 1 : 0); }
  std::vector<uint8_t> TakePixels() { return std::move(pixels_); }

  bool Complete() const {
    return interlaced() ? png_get_current_pass_number(png()) >= 7
                        : png_get_current_row_number(png()) >= height();
  }

 private:
  void OnHeader() override {
    png_set_expand(png());
    const bool found = (colour_type() & PNG_COLOR_MASK_ALPHA) != 0 ||
                       png_get_valid(png(), info(), PNG_INFO_tRNS) != 0;
    // A tRNS chunk that libpng does not take.
    if (alpha_ && !found) png_set_add_alpha(png(), 0xffff, PNG_FILLER_AFTER);
    if (unscaled_) {
      most_ = SignificantMaxima(png(), info(), depth());
      png_set_read_user_transform_fn(png(), ScaleRow);
      png_set_user_transform_info(png(), this, 8, static_cast<int>(channels()));
    } else {
      SetGamma();
      png_set_scale_16(png());
    }
    png_set_interlace_handling(png());
    png_read_update_info(png(), info());
    if (png_get_rowbytes(png(), info()) != row_bytes_)
      png_error(png(), "its rows have a wrong size");
  }

  void OnRow(png_bytep row, png_uint_32 y, int /*pass*/) override {
    if (row != nullptr) png_progressive_combine_row(png(), &pixels_[y * row_bytes_], row);
  }

  // What is not sRGB's gamma is made that.
  void SetGamma() {
    int intent = 0;
    png_fixed_point gamma = 0;
    if (png_get_sRGB(png(), info(), &intent) != 0) return;
    if (png_get_gAMA_fixed(png(), info(), &gamma) == 0) return;
    // Beyond these the arithmetic of some versions fails.
    if (gamma < 16 || gamma > 625'000'000) return;
    png_set_gamma_fixed(png(), PNG_DEFAULT_sRGB, gamma);
  }

  // Samples of a row to 8 bits, in place.
  static void ScaleRow(png_structp png, png_row_infop row, png_bytep data) {
    const auto& most = static_cast<PixelReader*>(png_get_user_transform_ptr(png))->most_;
    const size_t bytes = row->bit_depth / 8;
    const size_t samples = static_cast<size_t>(row->width) * row->channels;
    for (size_t i = 0; i < samples; ++i) {
      const png_bytep at = data + i * bytes;
      const uint32_t sample = bytes == 2 ? (at[0] << 8u) | at[1] : at[0];
      const uint32_t limit = most[i % row->channels];
      data[i] = static_cast<png_byte>((std::min(sample, limit) * 255 + limit / 2) / limit);
    }
  }

  bool alpha_ = false;
  bool unscaled_ = false;
  std::array<uint32_t, 4> most_ = {};
  size_t row_bytes_ = 0;
  std::vector<uint8_t> pixels_;
};

}  // namespace

absl::StatusOr<DecodedPicture> ReadPngHeader(absl::string_view file) {
  const absl::StatusOr<PngParts> parts = TakeApart(file);
  if (!parts.ok()) return parts.status();
  // Behind the signature: length, type, width, height, depth, kind of colours.
  const absl::string_view header = parts->header.substr(kPngMagic.size() + 8);
  if (header.size() < 13) return Damaged("its header is too short");
  const bool colour = (static_cast<uint8_t>(header[9]) & PNG_COLOR_MASK_COLOR) != 0;
  const Image size{BigEndian(header.substr(4)), BigEndian(header), colour ? 3 : 1, {}};
  return DecodedPicture{size, parts->orientation};
}

absl::StatusOr<DecodedPicture> DecodePng(absl::string_view file, const DecodeLimits& limits,
                                         const StillWanted& still_wanted) {
  const absl::StatusOr<PngParts> parts = TakeApart(file);
  if (!parts.ok()) return parts.status();
  PixelReader reader;
  absl::Status status = reader.Feed(parts->header);
  if (status.ok()) status = CheckPictureSize(reader.height(), reader.width(), limits);
  if (!status.ok()) return status;
  ScaleDetector detector;
  if (parts->significant_bits) {
    status = detector.Feed(parts->header);
    if (status.ok()) status = detector.FeedAll(parts->rest, still_wanted);
    if (!status.ok()) return status;
  }
  const bool alpha = parts->transparency || (reader.colour_type() & PNG_COLOR_MASK_ALPHA) != 0;
  reader.Start(alpha, parts->significant_bits && detector.unscaled());
  status = reader.FeedAll(parts->rest, still_wanted);
  if (!status.ok()) return status;
  if (!reader.Complete()) return Damaged("its pixels are not all there");
  const size_t colours = reader.colours();
  std::vector<uint8_t> pixels = reader.TakePixels();
  if (alpha) {
    if (status = LayOverGround(colours, &pixels); !status.ok()) return status;
  }
  return DecodedPicture{
      {reader.height(), reader.width(), static_cast<int64_t>(colours), std::move(pixels)},
      parts->orientation};
}

}  // namespace atelier::models
