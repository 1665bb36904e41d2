#include "models/import/cifar_source.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/base/failure.h"
#include "models/import/natural_order.h"

namespace atelier::models {
namespace {

constexpr ImageShape kShape = {3, 32, 32};
constexpr size_t kPixels = 3 * 32 * 32;
constexpr size_t kMaxNamesBytes = size_t{1} << 16;

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

absl::string_view BaseName(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

bool IsTenBatch(absl::string_view name) {
  return (absl::StartsWith(name, "data_batch_") && absl::EndsWith(name, ".bin")) ||
         name == "test_batch.bin";
}

bool IsHundredBatch(absl::string_view name) { return name == "train.bin" || name == "test.bin"; }

std::vector<std::string> ParseNames(absl::string_view text) {
  std::vector<std::string> names;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view name = absl::StripAsciiWhitespace(line);
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace

bool CifarSource::Knows(const Listing& listing) {
  return std::any_of(listing.files().begin(), listing.files().end(), [&](const ListedFile& file) {
    const absl::string_view name = BaseName(listing.NameOf(file));
    return IsTenBatch(name) || IsHundredBatch(name);
  });
}

absl::Status CifarSource::FindBatches(const Listing& listing) {
  bool ten = false;
  for (const ListedFile& file : listing.files()) {
    const absl::string_view name = BaseName(listing.NameOf(file));
    if (!IsTenBatch(name) && !IsHundredBatch(name)) continue;
    ten |= IsTenBatch(name);
    fine_ |= IsHundredBatch(name);
    Batch batch;
    batch.entry = file.entry;
    batch.name = PrintableName(listing.NameOf(file));
    batch.split = absl::StartsWith(name, "test") ? SourceSplit::kTest : SourceSplit::kTraining;
    batches_.push_back(std::move(batch));
  }
  if (ten && fine_) return BadData("it holds CIFAR-10 and CIFAR-100; import one of them");
  std::sort(batches_.begin(), batches_.end(),
            [](const Batch& a, const Batch& b) { return NaturalLess(a.name, b.name); });
  return absl::OkStatus();
}

absl::Status CifarSource::ReadLabels(ArchiveReader* archive, Batch* batch, const StopSignal* stop) {
  std::string record(label_bytes() + kPixels, '\0');
  while (true) {
    if (absl::Status status = CheckStop(stop); !status.ok()) return status;
    const absl::StatusOr<size_t> got = archive->Read(record.data(), record.size());
    if (!got.ok()) return BadData(absl::StrCat(batch->name, ": ", got.status().message()));
    if (*got == 0) break;
    if (*got < record.size() || batch->labels.size() >= static_cast<size_t>(kMaxSourceImages)) {
      return BadData(absl::StrCat(batch->name, " does not consist of records of ", record.size(),
                                  " bytes, as CIFAR-", fine_ ? 100 : 10, "'s files do"));
    }
    batch->labels.push_back(static_cast<uint8_t>(record[label_bytes() - 1]));
  }
  if (batch->labels.empty()) return BadData(absl::StrCat(batch->name, " is empty"));
  return absl::OkStatus();
}

absl::Status CifarSource::ReadAll(const Listing& listing, const StopSignal* stop) {
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
  if (!archive.ok()) return archive.status();
  for (const ListedFile& file : listing.files()) {
    if (absl::Status status = (*archive)->SkipTo(file.entry); !status.ok()) return status;
    const absl::string_view name = BaseName(listing.NameOf(file));
    if (name == (fine_ ? "fine_label_names.txt" : "batches.meta.txt")) {
      const absl::StatusOr<std::string> text = (*archive)->ReadAll(kMaxNamesBytes);
      if (!text.ok()) return BadData(absl::StrCat(name, ": ", text.status().message()));
      names_ = ParseNames(*text);
    }
    const auto batch = std::find_if(batches_.begin(), batches_.end(),
                                    [&](const Batch& one) { return one.entry == file.entry; });
    if (batch == batches_.end()) continue;
    absl::Status status = ReadLabels(archive->get(), &*batch, stop);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CifarSource::Label() {
  ClassLabel largest = 0;
  for (Batch& batch : batches_) {
    batch.first = static_cast<int64_t>(contents_.labels.size());
    largest = std::max(largest, *std::max_element(batch.labels.begin(), batch.labels.end()));
    contents_.labels.insert(contents_.labels.end(), batch.labels.begin(), batch.labels.end());
    contents_.splits.insert(contents_.splits.end(), batch.labels.size(), batch.split);
  }
  contents_.named = !names_.empty();
  if (contents_.named && largest >= names_.size()) {
    return BadData(
        absl::StrCat("label ", largest, " has no name; there are ", names_.size(), " names"));
  }
  contents_.class_names = names_;
  for (int label = 0; names_.empty() && label <= largest; ++label) {
    contents_.class_names.push_back(absl::StrCat(label));
  }
  contents_.size = {kShape.height, kShape.width};
  contents_.colour = true;
  contents_.format = fine_ ? "CIFAR-100, binary" : "CIFAR-10, binary";
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CifarSource>> CifarSource::Open(const Listing& listing,
                                                               OpenArchive open,
                                                               const StopSignal* stop) {
  std::unique_ptr<CifarSource> source(new CifarSource(std::move(open)));
  absl::Status status = source->FindBatches(listing);
  if (status.ok()) status = source->ReadAll(listing, stop);
  if (status.ok()) status = source->Label();
  if (!status.ok()) return status;
  return source;
}

const CifarSource::Batch& CifarSource::BatchOf(int64_t index) const {
  const auto after = std::find_if(batches_.begin(), batches_.end(),
                                  [index](const Batch& batch) { return batch.first > index; });
  return *(after - 1);
}

absl::StatusOr<bool> CifarSource::Next(SourceImage* image) {
  if (archive_ == nullptr) {
    absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
    if (!archive.ok()) return archive.status();
    archive_ = *std::move(archive);
  }
  while (reading_ == nullptr || next_ == static_cast<int64_t>(reading_->labels.size())) {
    const absl::StatusOr<const ArchiveEntry*> entry = archive_->Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) return false;
    const auto batch = std::find_if(batches_.begin(), batches_.end(),
                                    [&](const Batch& one) { return one.entry == entry_; });
    ++entry_;
    reading_ = batch == batches_.end() ? nullptr : &*batch;
    next_ = 0;
  }
  std::string record(label_bytes() + kPixels, '\0');
  const absl::StatusOr<size_t> got = archive_->Read(record.data(), record.size());
  if (!got.ok() || *got < record.size()) {
    return BadData(absl::StrCat(reading_->name, " changed while it was read"));
  }
  image->index = reading_->first + next_++;
  image->bytes = record.substr(label_bytes());
  return true;
}

absl::StatusOr<Image> CifarSource::Decode(const SourceImage& image) const {
  return FromPlanar(kShape,
                    absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(image.bytes.data()),
                                        image.bytes.size()));
}

std::string CifarSource::NameOf(int64_t index) const {
  const Batch& batch = BatchOf(index);
  return absl::StrCat("image ", index - batch.first, " of ", batch.name);
}

}  // namespace atelier::models
