// Still WebP files by libwebp's incremental decoder: it is fed piece by piece, so that decoding can
// end between two of them.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/pictures/exif.h"
#include "models/pictures/picture_decoders.h"
#include "models/pictures/transparency.h"

namespace atelier::models {
namespace {

// Fed at once. It can unpack to the whole picture, whose size is limited.
constexpr size_t kPieceBytes = 4096;
constexpr absl::string_view kExifMagic("Exif\0\0", 6);

struct FreeWebp {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
  void operator()(WebPIDecoder* decoder) const { WebPIDelete(decoder); }
};

absl::Status Damaged(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("the WebP file is damaged: ", why));
}

const uint8_t* BytesOf(absl::string_view file) {
  return reinterpret_cast<const uint8_t*>(file.data());
}

// What the file says of the picture; damaged where it is not whole.
absl::StatusOr<WebPBitstreamFeatures> FeaturesOf(absl::string_view file) {
  WebPBitstreamFeatures features;
  switch (WebPGetFeatures(BytesOf(file), file.size(), &features)) {
    case VP8_STATUS_OK:
      break;
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return Damaged("it is truncated");
    default:
      return Damaged("its header is of no use");
  }
  if (features.has_animation != 0) {
    return absl::InvalidArgumentError(
        "the picture is an animated WebP file; save the frame that is meant as a still picture");
  }
  return features;
}

// By its EXIF data, which may have JPEG's signature before it. 1 also where the file is not whole:
// decoding says so.
int OrientationOf(absl::string_view file) {
  const WebPData data = {BytesOf(file), file.size()};
  const std::unique_ptr<WebPDemuxer, FreeWebp> demuxer(WebPDemux(&data));
  if (demuxer == nullptr) return 1;
  WebPChunkIterator chunk;
  if (WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0) return 1;
  absl::string_view exif(reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size);
  absl::ConsumePrefix(&exif, kExifMagic);
  const int orientation = ExifOrientation(exif);
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

absl::Status Decode(absl::string_view file, const StillWanted& still_wanted,
                    WebPIDecoder* decoder) {
  if (decoder == nullptr) return absl::ResourceExhaustedError("there is no memory left");
  for (size_t fed = 0; fed < file.size();) {
    if (still_wanted) {
      if (absl::Status status = still_wanted(); !status.ok()) return status;
    }
    fed = std::min(file.size(), fed + kPieceBytes);
    const VP8StatusCode status = WebPIUpdate(decoder, BytesOf(file), fed);
    if (status == VP8_STATUS_OK) return absl::OkStatus();
    if (status == VP8_STATUS_OUT_OF_MEMORY) {
      return absl::ResourceExhaustedError("there is no memory left");
    }
    if (status != VP8_STATUS_SUSPENDED) return Damaged("its pixels cannot be decoded");
  }
  return Damaged("it is truncated");
}

}  // namespace

bool IsWebp(absl::string_view file) {
  return file.size() >= 12 && file.substr(0, 4) == "RIFF" && file.substr(8, 4) == "WEBP";
}

absl::StatusOr<DecodedPicture> ReadWebpHeader(absl::string_view file) {
  const absl::StatusOr<WebPBitstreamFeatures> features = FeaturesOf(file);
  if (!features.ok()) return features.status();
  const Image size{features->height, features->width, 3, {}};
  return DecodedPicture{size, OrientationOf(file)};
}

absl::StatusOr<DecodedPicture> DecodeWebp(absl::string_view file, const DecodeLimits& limits,
                                          const StillWanted& still_wanted) {
  const absl::StatusOr<WebPBitstreamFeatures> features = FeaturesOf(file);
  if (!features.ok()) return features.status();
  absl::Status status = CheckPictureSize(features->height, features->width, limits);
  if (!status.ok()) return status;
  const bool alpha = features->has_alpha != 0;
  const int stride = features->width * (alpha ? 4 : 3);
  std::vector<uint8_t> pixels(static_cast<size_t>(features->height) * static_cast<size_t>(stride));
  const std::unique_ptr<WebPIDecoder, FreeWebp> decoder(
      WebPINewRGB(alpha ? MODE_RGBA : MODE_RGB, pixels.data(), pixels.size(), stride));
  status = Decode(file, still_wanted, decoder.get());
  if (status.ok() && alpha) status = LayOverGround(3, &pixels);
  if (!status.ok()) return status;
  Image image{features->height, features->width, 3, std::move(pixels)};
  return DecodedPicture{std::move(image), OrientationOf(file)};
}

}  // namespace atelier::models
