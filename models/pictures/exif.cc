#include "models/pictures/exif.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"

namespace atelier::models {
namespace {

constexpr int kUpright = 1;
constexpr std::size_t kEntryBytes = 12;
constexpr std::uint32_t kOrientationTag = 0x0112;

// Bytes of a whole number of a TIFF type: BYTE, SHORT, which the standard demands, or LONG; 0 for
// others.
std::size_t BytesOfType(std::uint32_t type) {
  return type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
}

// Reads numbers of one byte order; the caller has checked the size.
class TiffReader {
 public:
  TiffReader(absl::string_view data, bool little) : data_(data), little_(little) {}

  std::uint32_t Read(std::size_t at, std::size_t bytes) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t place = little_ ? bytes - 1 - i : i;
      value = (value << 8) | static_cast<unsigned char>(data_[at + place]);
    }
    return value;
  }

 private:
  const absl::string_view data_;
  const bool little_;
};

}  // namespace

int ExifOrientation(absl::string_view tiff) {
  const bool little = absl::StartsWith(tiff, absl::string_view("II*\0", 4));
  if (!little && !absl::StartsWith(tiff, absl::string_view("MM\0*", 4))) return kUpright;
  if (tiff.size() < 8) return kUpright;
  const TiffReader reader(tiff, little);
  const std::size_t directory = reader.Read(4, 4);
  if (directory > tiff.size() || tiff.size() - directory < 2) return kUpright;
  const std::size_t entries = reader.Read(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (tiff.size() < entry + kEntryBytes) return kUpright;
    if (reader.Read(entry, 2) != kOrientationTag) continue;
    const std::uint32_t value = reader.Read(entry + 8, BytesOfType(reader.Read(entry + 2, 2)));
    const bool valid = value >= 1 && value <= 8;
    return valid ? static_cast<int>(value) : kUpright;
  }
  return kUpright;
}

}  // namespace atelier::models
