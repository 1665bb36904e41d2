#include "models/files/known_formats.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace atelier::models {

absl::string_view KnownByBeginning(absl::string_view text) {
  struct Known {
    absl::string_view beginning;
    absl::string_view what;
  };
  constexpr Known kKnown[] = {
      {"version https://git-lfs", "it is a Git LFS pointer, not the file that it points to"},
      {"PK\x03\x04", "it is a zip archive; unpack it"},
      {"\xfd\x37zXZ", "it is packed by xz; unpack it"},
      {"BZh", "it is packed by bzip2; unpack it"},
      {"\x28\xb5\x2f\xfd", "it is packed by zstd; unpack it"},
      {"7z\xbc\xaf\x27\x1c", "it is packed by 7-Zip; unpack it"},
      {"Rar!\x1a\x07", "it is packed by RAR; unpack it"},
      {"\x1f\x8b", "it is gzipped twice; unpack it once"},
      {"\x89HDF\r\n", "it is an HDF5 file; save its arrays as .npz"},
      {"MATLAB ", "it is a MATLAB file; save its arrays as .npz"},
      {"PAR1", "it is a Parquet file; save its images in a folder per class, or as .npz"},
      {"%PDF-", "it is a PDF document"},
  };
  for (const Known& known : kKnown) {
    if (absl::StartsWith(text, known.beginning)) return known.what;
  }
  // Protocols 2 to 5, which begin with a frame, a dictionary or a tuple.
  if (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5) {
    return "it is a Python pickle, which may run code; save its arrays as .npz";
  }
  text = absl::StripPrefix(text, "\xef\xbb\xbf");
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "<")) {
    return "it is a web page, not the file that was to be downloaded";
  }
  return "";
}

}  // namespace atelier::models
