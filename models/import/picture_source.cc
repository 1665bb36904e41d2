#include "models/import/picture_source.h"

#include <map>

#include "models/base/failure.h"
#include "models/import/folder_layout.h"

namespace atelier::models {

absl::StatusOr<std::unique_ptr<PictureSource>> PictureSource::ByFolder(
    Listing listing, OpenArchive open, UnreadableFiles* unreadable) {
  SourceContents contents;
  contents.format = "a folder per class, " + listing.PictureFormats();
  absl::StatusOr<FolderLayout> layout = FolderLayout::Of(listing);
  if (!layout.ok()) return layout.status();
  contents.class_names = layout->class_names();
  contents.named = true;
  contents.warnings = layout->warnings();
  std::vector<PicturePlace> places = layout->Places(unreadable);
  return std::make_unique<PictureSource>(std::move(listing), std::move(open), std::move(places),
                                         std::move(contents));
}

PictureSource::PictureSource(Listing listing, OpenArchive open, std::vector<PicturePlace> places,
                             SourceContents contents)
    : listing_(std::move(listing)), open_(std::move(open)), places_(std::move(places)) {
  contents_ = std::move(contents);
  Describe();
}

void PictureSource::Describe() {
  std::map<std::pair<int64_t, int64_t>, int64_t> sizes;
  const std::vector<ListedFile>& files = listing_.files();
  image_of_entry_.assign(files.empty() ? 0 : size_t{files.back().entry} + 1, -1);
  for (size_t i = 0; i < places_.size(); ++i) {
    const ListedFile& file = files[places_[i].file];
    image_of_entry_[file.entry] = static_cast<int32_t>(i);
    ++sizes[{file.height, file.width}];
    contents_.colour |= file.channels == 3;
    contents_.labels.push_back(places_[i].label);
    contents_.splits.push_back(places_[i].split);
  }
  int64_t most = 0;
  for (const auto& [size, count] : sizes) {
    if (count <= most) continue;
    most = count;
    contents_.size = {size.first, size.second};
  }
  contents_.other_sizes = static_cast<int64_t>(places_.size()) - most;
}

absl::StatusOr<bool> PictureSource::Next(SourceImage* image) {
  if (archive_ == nullptr) {
    absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
    if (!archive.ok()) return archive.status();
    archive_ = *std::move(archive);
  }
  while (entry_ < image_of_entry_.size()) {
    const absl::StatusOr<const ArchiveEntry*> entry = archive_->Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) break;
    const int32_t index = image_of_entry_[entry_++];
    if (index < 0) continue;
    image->index = index;
    absl::StatusOr<std::string> bytes =
        archive_->ReadAll(static_cast<size_t>(kPictureLimits.max_bytes));
    if (!bytes.ok()) return bytes.status();
    image->bytes = *std::move(bytes);
    return true;
  }
  return false;
}

absl::StatusOr<Image> PictureSource::Decode(const SourceImage& image) const {
  return DecodeImage(image.bytes, kPictureLimits);
}

std::string PictureSource::NameOf(int64_t index) const {
  const PicturePlace& place = places_[static_cast<size_t>(index)];
  return PrintableName(listing_.NameOf(listing_.files()[place.file]));
}

}  // namespace atelier::models
