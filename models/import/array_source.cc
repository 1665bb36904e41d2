#include "models/import/array_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/import/folder_layout.h"
#include "models/import/label_names.h"

namespace atelier::models {
namespace {

using Axes = ImportOptions::Axes;

constexpr size_t kPiece = size_t{1} << 20;
// Unknown arrays that are named.
constexpr size_t kNamed = 3;

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

bool IsChannels(int64_t size) { return size == 1 || size == 3; }

// The order of the dimensions, and the image's shape in it.
struct Layout {
  Axes axes = Axes::kNhw;
  ImageShape shape;
};

std::optional<ImageShape> ShapeIn(Axes axes, const std::vector<int64_t>& sizes) {
  if (axes == Axes::kNhw && sizes.size() == 3) return ImageShape{1, sizes[1], sizes[2]};
  if (sizes.size() != 4) return std::nullopt;
  if (axes == Axes::kNhwc && IsChannels(sizes[3])) return ImageShape{sizes[3], sizes[1], sizes[2]};
  if (axes == Axes::kNchw && IsChannels(sizes[1])) return ImageShape{sizes[1], sizes[2], sizes[3]};
  return std::nullopt;
}

absl::StatusOr<Layout> LayoutOf(const NpyHeader& header, Axes wanted) {
  std::vector<Layout> possible;
  for (const Axes axes : {Axes::kNhw, Axes::kNhwc, Axes::kNchw}) {
    const std::optional<ImageShape> shape = ShapeIn(axes, header.shape);
    if (shape && (wanted == Axes::kAuto || wanted == axes)) possible.push_back({axes, *shape});
  }
  if (possible.size() > 1) {
    return Failure(
        FailureReason::kInvalidSpec,
        absl::StrCat("images of ", header.shape_text(),
                     " may be N x H x W x C or N x C x H x W; say which by --axes NHWC or "
                     "--axes NCHW"));
  }
  if (possible.empty()) {
    const bool asked = wanted != Axes::kAuto && !LayoutOf(header, Axes::kAuto).status().ok();
    return Failure(
        asked || wanted == Axes::kAuto ? FailureReason::kBadData : FailureReason::kInvalidSpec,
        absl::StrCat("images of ", header.shape_text(),
                     wanted == Axes::kAuto ? " are not" : " are not in that order, not",
                     " N x H x W, N x H x W x C or N x C x H x W of 1 or 3 channels"));
  }
  return possible[0];
}

}  // namespace

std::optional<ArraySource::Meaning> ArraySource::MeaningOf(absl::string_view path) {
  const std::string lower = absl::AsciiStrToLower(path);
  const size_t slash = lower.rfind('/');
  absl::string_view name = absl::string_view(lower).substr(slash + 1);
  name = absl::StripSuffix(name, ".npy");
  if (name == "arr_0") return Meaning{Role::kImages, {}};
  if (name == "arr_1") return Meaning{Role::kLabels, {}};
  std::optional<SourceSplit> split;
  std::optional<Role> role;
  for (const absl::string_view word : absl::StrSplit(name, absl::ByAnyChar("_-. "))) {
    const std::optional<SourceSplit> named = SplitNamed(word);
    const bool images =
        word == "images" || word == "x" || word == "data" || word == "imgs" || word == "image";
    const bool labels =
        word == "labels" || word == "y" || word == "targets" || word == "label" || word == "target";
    if ((named && split) || ((images || labels) && role)) return std::nullopt;
    if (named) split = named;
    if (images || labels) role = images ? Role::kImages : Role::kLabels;
    if (!named && !images && !labels) return std::nullopt;
  }
  if (!role) return std::nullopt;
  // Arrays in a folder of the split's name.
  if (!split && slash != std::string::npos) {
    const size_t before = lower.rfind('/', slash - 1);
    split = SplitNamed(absl::string_view(lower).substr(before + 1, slash - before - 1));
  }
  return Meaning{*role, split};
}

ArraySource::Array* ArraySource::Find(Role role, SourceSplit split) {
  const auto found = std::find_if(arrays_.begin(), arrays_.end(), [&](const Array& array) {
    return array.role == role && array.split == split;
  });
  return found == arrays_.end() ? nullptr : &*found;
}

absl::Status ArraySource::FindArrays(const Listing& listing) {
  std::vector<std::string> others;
  for (const ListedFile& file : listing.files()) {
    if (file.kind != ListedFile::Kind::kArray) continue;
    const std::string name = PrintableName(listing.NameOf(file));
    const std::optional<Meaning> meaning = MeaningOf(listing.NameOf(file));
    if (!meaning) {
      if (others.size() <= kNamed) others.push_back(others.size() < kNamed ? name : "and others");
      continue;
    }
    const SourceSplit split = meaning->split.value_or(SourceSplit::kTraining);
    if (const Array* other = Find(meaning->role, split); other != nullptr) {
      return BadData(
          absl::StrCat("its arrays ", other->name, " and ", name, " mean the same; keep one"));
    }
    Array array;
    array.entry = file.entry;
    array.name = name;
    array.role = meaning->role;
    array.split = split;
    arrays_.push_back(std::move(array));
  }
  if (arrays_.empty()) {
    return BadData(absl::StrCat(
        "its arrays (", absl::StrJoin(others, ", "),
        ") have none of the names that are known: images and labels, x and y, data and targets, "
        "alone or as in train_images, y_test"));
  }
  if (!others.empty()) {
    contents_.warnings.push_back(
        absl::StrCat("Arrays that were not used: ", absl::StrJoin(others, ", "), "."));
  }
  return absl::OkStatus();
}

absl::Status ArraySource::ReadLabels(ArchiveReader* archive, Array* array) {
  const std::vector<int64_t>& sizes = array->header.shape;
  if (sizes.size() == 2 && sizes[1] > 1) {
    return BadData(absl::StrCat("the labels ", array->name, " are ", array->header.shape_text(),
                                "; one number per image is needed: of one-hot rows take the "
                                "argmax"));
  }
  if (sizes.empty() || sizes.size() > 2 || sizes[0] == 0 || sizes.back() == 0 ||
      sizes[0] > kMaxSourceImages) {
    return BadData(absl::StrCat("the labels ", array->name, " are ", array->header.shape_text(),
                                "; N or N x 1 are needed, of 1 to ", kMaxSourceImages));
  }
  const auto bytes = static_cast<size_t>(sizes[0]) * array->header.item_bytes;
  std::string numbers(bytes, '\0');
  const absl::StatusOr<size_t> got = archive->Read(numbers.data(), bytes);
  if (!got.ok()) return got.status();
  if (*got < bytes) return BadData(absl::StrCat("the labels ", array->name, " are truncated"));
  double wrong = 0;
  bool whole = true;
  ForEachNumber(array->header, numbers, [&](double number) {
    if (whole && !(number >= 0 && number <= 1e6 && number == std::floor(number))) {
      whole = false;
      wrong = number;
    }
    if (whole) array->numbers.push_back(static_cast<int64_t>(number));
  });
  if (whole) return absl::OkStatus();
  return BadData(absl::StrCat("label ", wrong, " of image ", array->numbers.size(), " in ",
                              array->name, " is no class; whole numbers from 0 on are"));
}

absl::Status ArraySource::FindRange(ArchiveReader* archive, const Array& array,
                                    const StopSignal* stop) {
  const NpyHeader& header = array.header;
  // Every byte and every boolean is in range.
  if (header.type == NpyHeader::Type::kBool ||
      (header.type == NpyHeader::Type::kUnsigned && header.item_bytes == 1)) {
    return absl::OkStatus();
  }
  std::string piece(kPiece, '\0');
  while (true) {
    if (absl::Status status = CheckStop(stop); !status.ok()) return status;
    const absl::StatusOr<size_t> got = archive->Read(piece.data(), piece.size());
    if (!got.ok()) return got.status();
    AddToRange(header, absl::string_view(piece).substr(0, *got), &range_);
    if (*got < piece.size()) return absl::OkStatus();
  }
}

absl::Status ArraySource::ReadArrays(const StopSignal* stop) {
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
  if (!archive.ok()) return archive.status();
  for (Array& array : arrays_) {
    if (absl::Status status = (*archive)->SkipTo(array.entry); !status.ok()) return status;
    absl::StatusOr<NpyHeader> header =
        ReadNpyHeader([&](void* to, size_t size) { return (*archive)->Read(to, size); });
    absl::Status status = header.status();
    if (header.ok()) {
      array.header = *std::move(header);
      status = array.role == Role::kLabels ? ReadLabels(archive->get(), &array)
                                           : FindRange(archive->get(), array, stop);
    }
    if (absl::IsInvalidArgument(status) && ReasonOf(status) == FailureReason::kInternal) {
      return BadData(absl::StrCat(array.name, ": ", status.message()));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ArraySource::PairUp() {
  for (const SourceSplit split :
       {SourceSplit::kTraining, SourceSplit::kValidation, SourceSplit::kTest}) {
    Array* const images = Find(Role::kImages, split);
    const Array* const labels = Find(Role::kLabels, split);
    if (images == nullptr && labels == nullptr) continue;
    if (images == nullptr || labels == nullptr) {
      const Array* const there = images == nullptr ? labels : images;
      return BadData(absl::StrCat("its array ", there->name, " has no ",
                                  images == nullptr ? "images" : "labels", " beside it"));
    }
    const std::vector<int64_t>& sizes = images->header.shape;
    const auto count = static_cast<int64_t>(labels->numbers.size());
    if (sizes.empty() || sizes[0] != count) {
      return BadData(absl::StrCat(images->name, " has ", sizes.empty() ? 0 : sizes[0],
                                  " images but ", labels->name, " has ", count, " labels"));
    }
    images->first = static_cast<int64_t>(contents_.splits.size());
    contents_.splits.insert(contents_.splits.end(), static_cast<size_t>(count), split);
  }
  return absl::OkStatus();
}

absl::Status ArraySource::FindAxes() {
  const Array* first = nullptr;
  for (const Array& array : arrays_) {
    if (array.role != Role::kImages) continue;
    const absl::StatusOr<Layout> layout = LayoutOf(array.header, options_.axes);
    if (!layout.ok()) {
      return Failure(ReasonOf(layout.status()),
                     absl::StrCat(array.name, ": ", layout.status().message()));
    }
    if (first == nullptr) {
      first = &array;
      axes_ = layout->axes;
      shape_ = layout->shape;
    } else if (layout->axes != axes_ || !(layout->shape == shape_)) {
      return BadData(absl::StrCat(first->name, " is ", first->header.shape_text(), " but ",
                                  array.name, " is ", array.header.shape_text(),
                                  "; images have to be of one size"));
    }
  }
  if (shape_.height < 1 || shape_.width < 1 || shape_.height > kPictureLimits.max_side ||
      shape_.width > kPictureLimits.max_side) {
    return BadData(absl::StrCat("its images are ", shape_.height, "x", shape_.width,
                                " pixels; 1 to ", kPictureLimits.max_side, " a side are accepted"));
  }
  contents_.size = {shape_.height, shape_.width};
  contents_.colour = shape_.channels == 3;
  return absl::OkStatus();
}

absl::Status ArraySource::FindScale() {
  bool floats = false;
  for (const Array& array : arrays_) {
    floats |= array.role == Role::kImages && array.header.type == NpyHeader::Type::kFloat;
  }
  if (!range_.any) return absl::OkStatus();
  if (!range_.finite) return BadData("its images hold NaN or infinite numbers");
  if (range_.low < 0 || range_.high > 255) {
    return BadData(absl::StrCat("its images hold numbers from ", range_.low, " to ", range_.high,
                                "; pixels are 0 to 255, or 0 to 1 as floats: scale them before"));
  }
  if (floats && range_.high <= 1) scale_ = 255;
  return absl::OkStatus();
}

absl::Status ArraySource::NumberLabels() {
  std::vector<int64_t> numbers;
  for (const SourceSplit split :
       {SourceSplit::kTraining, SourceSplit::kValidation, SourceSplit::kTest}) {
    const Array* const labels = Find(Role::kLabels, split);
    if (labels == nullptr) continue;
    numbers.insert(numbers.end(), labels->numbers.begin(), labels->numbers.end());
  }
  return LabelByNumber(numbers, &contents_);
}

absl::StatusOr<std::unique_ptr<ArraySource>> ArraySource::Open(const Listing& listing,
                                                               OpenArchive open,
                                                               const Options& options,
                                                               const StopSignal* stop) {
  std::unique_ptr<ArraySource> source(new ArraySource(std::move(open), options));
  absl::Status status = source->FindArrays(listing);
  if (status.ok()) status = source->ReadArrays(stop);
  if (status.ok()) status = source->PairUp();
  if (status.ok()) status = source->FindAxes();
  if (status.ok()) status = source->FindScale();
  if (status.ok()) status = source->NumberLabels();
  if (!status.ok()) return status;
  source->contents_.format =
      absl::StrCat("NumPy arrays, ",
                   source->Find(Role::kImages, SourceSplit::kTraining) == nullptr
                       ? "numbers"
                       : source->Find(Role::kImages, SourceSplit::kTraining)->header.type_name());
  return source;
}

const ArraySource::Array& ArraySource::ArrayOf(int64_t index) const {
  const Array* found = nullptr;
  for (const Array& array : arrays_) {
    const bool before = array.role == Role::kImages && array.first <= index;
    if (before && (found == nullptr || array.first > found->first)) found = &array;
  }
  return *found;
}

absl::StatusOr<bool> ArraySource::Next(SourceImage* image) {
  if (archive_ == nullptr) {
    absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
    if (!archive.ok()) return archive.status();
    archive_ = *std::move(archive);
  }
  while (reading_ == nullptr || next_ == reading_->header.shape[0]) {
    reader_.reset();
    const absl::StatusOr<const ArchiveEntry*> entry = archive_->Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) return false;
    const auto array = std::find_if(arrays_.begin(), arrays_.end(), [&](const Array& one) {
      return one.entry == entry_ && one.role == Role::kImages;
    });
    ++entry_;
    reading_ = nullptr;
    if (array == arrays_.end()) continue;
    // The same header as before, to be behind it.
    const absl::StatusOr<NpyHeader> header =
        ReadNpyHeader([&](void* to, size_t size) { return archive_->Read(to, size); });
    if (!header.ok()) return BadData(header.status().message());
    absl::StatusOr<std::unique_ptr<ArrayReader>> reader =
        ArrayReader::Open(archive_.get(), array->header, options_.scratch, options_.max_bytes);
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
    reading_ = &*array;
    next_ = 0;
  }
  absl::StatusOr<std::string> bytes = reader_->Next();
  if (!bytes.ok()) {
    return Failure(ReasonOf(bytes.status()),
                   absl::StrCat(reading_->name, ": ", bytes.status().message()));
  }
  image->bytes = *std::move(bytes);
  image->index = reading_->first + next_++;
  return true;
}

absl::StatusOr<Image> ArraySource::Decode(const SourceImage& image) const {
  const NpyHeader& header = ArrayOf(image.index).header;
  std::vector<uint8_t> pixels(image.bytes.size() / header.item_bytes);
  const double scale = header.type == NpyHeader::Type::kBool ? 255 : scale_;
  ScaleToBytes(header, image.bytes, scale, pixels.data());
  if (axes_ == Axes::kNchw) return FromPlanar(shape_, pixels);
  return Image{shape_.height, shape_.width, shape_.channels, std::move(pixels)};
}

std::string ArraySource::NameOf(int64_t index) const {
  const Array& array = ArrayOf(index);
  return absl::StrCat("image ", index - array.first, " of ", array.name);
}

}  // namespace atelier::models
