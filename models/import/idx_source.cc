#include "models/import/idx_source.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "models/base/failure.h"
#include "models/data/dataset_folder.h"
#include "models/import/output_file.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{1} << 20;
constexpr absl::string_view kClassNames = "class_names.json";

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

// The last part of the path; empty where it cannot name a file here.
absl::string_view FileNameOf(absl::string_view path) {
  const absl::string_view name = path.substr(path.rfind('/') + 1);
  const bool usable = name.size() <= 200 && name != "." && name != ".." &&
                      name.find('\0') == absl::string_view::npos;
  return usable ? name : "";
}

}  // namespace

IdxSource::~IdxSource() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

absl::Status IdxSource::UnpackFile(ArchiveReader* archive, const std::string& name, int64_t* left,
                                   const StopSignal* stop) {
  absl::StatusOr<OutputFile> file = OutputFile::Create((fs::path(folder_) / name).string());
  if (!file.ok()) {
    std::error_code ignored;
    const bool twice = fs::exists(fs::path(folder_) / name, ignored);
    return twice ? BadData(absl::StrCat("it has two files ", PrintableName(name))) : file.status();
  }
  std::vector<uint8_t> piece(kPiece);
  for (int64_t at = 0;;) {
    absl::Status status = CheckStop(stop);
    if (!status.ok()) return status;
    const absl::StatusOr<size_t> got = archive->Read(piece.data(), piece.size());
    if (!got.ok()) return BadData(absl::StrCat(PrintableName(name), ": ", got.status().message()));
    if ((*left -= static_cast<int64_t>(*got)) < 0) {
      return BadData("its IDX files are larger than what is accepted");
    }
    status = file->Write(at, absl::MakeConstSpan(piece).first(*got));
    if (!status.ok()) return status;
    at += static_cast<int64_t>(*got);
    if (*got < piece.size()) return file->Keep();
  }
}

absl::Status IdxSource::Unpack(const Listing& listing, ArchiveReader* archive, int64_t max_bytes,
                               const StopSignal* stop) {
  std::error_code error;
  if (!fs::create_directory(folder_, error)) {
    return Failure(FailureReason::kInternal,
                   absl::StrCat("creating the folder ", folder_,
                                " failed: ", error ? error.message() : "it is there"));
  }
  for (const ListedFile& file : listing.files()) {
    const std::string name(FileNameOf(listing.NameOf(file)));
    if (name.empty() || (file.kind != ListedFile::Kind::kIdx && name != kClassNames)) continue;
    absl::Status status = archive->SkipTo(file.entry);
    if (status.ok()) status = UnpackFile(archive, name, &max_bytes, stop);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status IdxSource::Pack(const StopSignal* stop) {
  absl::StatusOr<DatasetFolder> folder = DatasetFolder::Open(folder_, stop);
  if (!folder.ok()) return folder.status();
  // The rest of what there is to say is told later, of the images as they are then.
  const std::string change = folder->ChangeText();
  if (!change.empty()) contents_.warnings.push_back(change);
  const std::string path = (fs::path(folder_) / "packed").string();
  absl::StatusOr<OutputFile> file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status = DatasetFile::Write(file->descriptor(), path, &*folder, stop);
  if (absl::IsUnavailable(status)) return Failure(FailureReason::kInternal, status.message());
  if (status.ok()) status = file->Keep();
  if (!status.ok()) return status;
  absl::StatusOr<DatasetFile> packed = DatasetFile::Open(path);
  if (!packed.ok()) return Failure(FailureReason::kInternal, packed.status().message());
  packed_.emplace(*std::move(packed));
  return absl::OkStatus();
}

absl::Status IdxSource::Describe() {
  const DatasetInfo& info = packed_->summary().info;
  if (info.shape.channels != 1 && info.shape.channels != 3) {
    return BadData(
        absl::StrCat("its images have ", info.shape.channels, " channels; 1 and 3 are accepted"));
  }
  if (info.training_images + info.test_images > kMaxSourceImages) {
    return BadData(absl::StrCat("it has more than ", kMaxSourceImages, " images"));
  }
  contents_.format = "IDX files";
  contents_.class_names = info.class_names;
  // Names that are the labels' numbers may be replaced.
  for (size_t i = 0; i < info.class_names.size(); ++i) {
    const int first = info.class_names[0] == "1" ? 1 : 0;
    contents_.named |= info.class_names[i] != absl::StrCat(static_cast<int>(i) + first);
  }
  contents_.size = {info.shape.height, info.shape.width};
  contents_.colour = info.shape.channels == 3;
  contents_.splits.assign(static_cast<size_t>(info.training_images), SourceSplit::kTraining);
  contents_.splits.insert(contents_.splits.end(), static_cast<size_t>(info.test_images),
                          SourceSplit::kTest);
  for (const SplitName split : {SplitName::kTraining, SplitName::kTest}) {
    const absl::StatusOr<std::vector<ClassLabel>> labels = packed_->ReadLabels(split);
    if (!labels.ok()) return Failure(FailureReason::kInternal, labels.status().message());
    contents_.labels.insert(contents_.labels.end(), labels->begin(), labels->end());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<IdxSource>> IdxSource::Open(const Listing& listing,
                                                           const OpenArchive& open,
                                                           const std::string& scratch,
                                                           int64_t max_bytes,
                                                           const StopSignal* stop) {
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open();
  if (!archive.ok()) return archive.status();
  std::unique_ptr<IdxSource> source(new IdxSource(scratch));
  absl::Status status = source->Unpack(listing, archive->get(), max_bytes, stop);
  if (status.ok()) status = source->Pack(stop);
  if (status.ok()) status = source->Describe();
  if (status.ok()) return source;
  // Names in the source, not where they lie meanwhile.
  return Failure(
      ReasonOf(status),
      absl::StrReplaceAll(status.message(), {{absl::StrCat(scratch, "/"), ""},
                                             {absl::StrCat("the folder ", scratch), "it"},
                                             {scratch, "it"}}));
}

std::pair<SplitName, int64_t> IdxSource::PlaceOf(int64_t index) const {
  const int64_t training = packed_->summary().info.training_images;
  if (index < training) return {SplitName::kTraining, index};
  return {SplitName::kTest, index - training};
}

absl::StatusOr<bool> IdxSource::Next(SourceImage* image) {
  if (next_ == static_cast<int64_t>(packed_->summary().info.training_images +
                                    packed_->summary().info.test_images)) {
    return false;
  }
  image->index = next_++;
  const auto [split, index] = PlaceOf(image->index);
  const absl::StatusOr<std::vector<uint8_t>> pixels = packed_->ReadPixels(split, index, 1);
  if (!pixels.ok()) return Failure(FailureReason::kInternal, pixels.status().message());
  image->bytes.assign(pixels->begin(), pixels->end());
  return true;
}

absl::StatusOr<Image> IdxSource::Decode(const SourceImage& image) const {
  return FromPlanar(packed_->summary().info.shape,
                    absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(image.bytes.data()),
                                        image.bytes.size()));
}

std::string IdxSource::NameOf(int64_t index) const {
  const auto [split, place] = PlaceOf(index);
  return absl::StrCat(split == SplitName::kTraining ? "training" : "test", " image ", place);
}

}  // namespace atelier::models
