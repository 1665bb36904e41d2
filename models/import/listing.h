// What files an archive holds and what each of them is, told by its first bytes: the first of an
// import's two passes. Not thread-safe.
#ifndef ATELIER_MODELS_IMPORT_LISTING_H_
#define ATELIER_MODELS_IMPORT_LISTING_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/stop_signal.h"
#include "models/files/archive_reader.h"
#include "models/import/source.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

// What a source's picture may have.
inline constexpr DecodeLimits kPictureLimits = {
    .max_bytes = int64_t{32} << 20, .max_pixels = 4096 * 4096, .max_side = 4096};

// kCancelled if `stop` (may be null) asks to end.
absl::Status CheckStop(const StopSignal* stop);

struct ListedFile {
  enum class Kind : uint8_t {
    kPicture,
    kDamagedPicture,  // It is named as one, or begins as one. Counted as unreadable already.
    kArray,           // .npy
    kIdx,
    kBinary,  // .bin
    kTable,   // .csv, .tsv
    kOther,
  };

  // The number of its entry in the archive, from 0 on.
  uint32_t entry = 0;
  // Of a picture, in pixels.
  uint16_t height = 0;
  uint16_t width = 0;
  uint8_t channels = 0;
  Kind kind = Kind::kOther;
  // Its path in `names`.
  uint32_t name_size = 0;
  uint64_t name_at = 0;
};

class Listing {
 public:
  // Reads the archive to its end. Hidden files are left out; links, devices and entries whose path
  // leads out of the archive are unreadable. kBadData, kCancelled.
  static absl::StatusOr<Listing> Read(ArchiveReader* archive, const StopSignal* stop,
                                      UnreadableFiles* unreadable);

  // In the order of the archive.
  const std::vector<ListedFile>& files() const { return files_; }
  absl::string_view NameOf(const ListedFile& file) const {
    return absl::string_view(names_).substr(file.name_at, file.name_size);
  }
  int64_t Count(ListedFile::Kind kind) const { return counts_[static_cast<size_t>(kind)]; }
  // Paths of the first 10,000 folders that have entries of their own.
  const std::vector<std::string>& folders() const { return folders_; }
  // What the pictures are, the most frequent first: "PNG", "JPEG and PNG".
  std::string PictureFormats() const;
  // A sentence's end on a file that cannot be used as it is ("x.mat: it is a MATLAB file; …");
  // empty if there is none.
  const std::string& hint() const { return hint_; }

 private:
  absl::Status Add(const ArchiveEntry& entry, uint32_t number, ArchiveReader* archive,
                   UnreadableFiles* unreadable);
  absl::Status Examine(const std::string& path, ArchiveReader* archive, UnreadableFiles* unreadable,
                       ListedFile* file);
  absl::Status ExaminePicture(const std::string& path, std::string beginning,
                              ArchiveReader* archive, UnreadableFiles* unreadable,
                              ListedFile* file);

  std::vector<ListedFile> files_;
  std::string names_;
  std::vector<std::string> folders_;
  int64_t counts_[7] = {};
  // Pictures of each format.
  std::map<std::string, int64_t> formats_;
  std::string hint_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_LISTING_H_
