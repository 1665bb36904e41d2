// Pictures in an archive, each a file, in a folder per class.
//
// The class is the first folder in which paths differ; all folders below belong to it. Above the
// classes, or directly below them, may be folders of the splits, named train, training, val, valid,
// validation, test or testing. Images are in the order of their files' names (NaturalLess), then of
// their paths, whatever their class: files that are numbered as an original was keep its order.
#ifndef ATELIER_MODELS_IMPORT_PICTURE_SOURCE_H_
#define ATELIER_MODELS_IMPORT_PICTURE_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/class_label.h"
#include "models/import/listing.h"
#include "models/import/source.h"

namespace atelier::models {

// Opens the archive once more, at its beginning.
using OpenArchive = std::function<absl::StatusOr<std::unique_ptr<ArchiveReader>>()>;

// Where a picture belongs.
struct PicturePlace {
  // Of Listing::files.
  uint32_t file = 0;
  ClassLabel label = 0;
  SourceSplit split = SourceSplit::kTraining;
};

class PictureSource final : public Source {
 public:
  // Sorts the pictures by folders. kBadData with what is wrong with the layout. Files whose path
  // another has already become unreadable.
  static absl::StatusOr<std::unique_ptr<PictureSource>> ByFolder(Listing listing, OpenArchive open,
                                                                 UnreadableFiles* unreadable);
  // The pictures at `places` in their order; `contents` needs format, names and warnings alone.
  PictureSource(Listing listing, OpenArchive open, std::vector<PicturePlace> places,
                SourceContents contents);

  absl::StatusOr<bool> Next(SourceImage* image) override;
  absl::StatusOr<Image> Decode(const SourceImage& image) const override;
  std::string NameOf(int64_t index) const override;

 private:
  // Size, colours, labels and splits, of the places.
  void Describe();

  // Constant after construction.
  const Listing listing_;
  const OpenArchive open_;
  const std::vector<PicturePlace> places_;
  // The image of each of the archive's entries; -1 for those that are none.
  std::vector<int32_t> image_of_entry_;

  std::unique_ptr<ArchiveReader> archive_;
  size_t entry_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_PICTURE_SOURCE_H_
