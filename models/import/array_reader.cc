#include "models/import/array_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr size_t kBlockBytes = size_t{16} << 20;
constexpr size_t kPiece = size_t{1} << 20;

absl::Status Truncated(const NpyHeader& header) {
  return Failure(FailureReason::kBadData,
                 absl::StrCat("its array of ", header.shape_text(), " is truncated"));
}

// Damage to one entry is damage to the whole of an array.
absl::Status AsBadData(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? Failure(FailureReason::kBadData, status.message())
                                         : status;
}

// Where the numbers of an item lie in Fortran's order, in the order of C: multiples of the number
// of items.
std::vector<size_t> FortranPlaces(const NpyHeader& header) {
  std::vector<size_t> places = {0};
  // From the innermost dimension out, each the slower in C's order.
  size_t stride = 1;
  std::vector<size_t> strides;
  for (size_t d = 1; d < header.shape.size(); ++d) {
    strides.push_back(stride);
    stride *= static_cast<size_t>(header.shape[d]);
  }
  for (size_t d = 1; d < header.shape.size(); ++d) {
    std::vector<size_t> wider;
    for (const size_t place : places) {
      for (int64_t i = 0; i < header.shape[d]; ++i) {
        wider.push_back(place + static_cast<size_t>(i) * strides[d - 1]);
      }
    }
    places = std::move(wider);
  }
  return places;
}

}  // namespace

ArrayReader::ArrayReader(ArchiveReader* archive, NpyHeader header)
    : archive_(archive), header_(std::move(header)) {
  for (size_t d = 1; d < header_.shape.size(); ++d) {
    item_numbers_ *= static_cast<size_t>(header_.shape[d]);
  }
}

absl::StatusOr<std::unique_ptr<ArrayReader>> ArrayReader::Open(ArchiveReader* archive,
                                                               const NpyHeader& header,
                                                               const std::string& scratch,
                                                               int64_t max_bytes) {
  std::unique_ptr<ArrayReader> reader(new ArrayReader(archive, header));
  // Of one dimension both orders are the same.
  if (header.fortran_order && reader->item_numbers_ > 1) {
    if (absl::Status status = reader->Unpack(scratch, max_bytes); !status.ok()) return status;
  }
  return reader;
}

absl::Status ArrayReader::Unpack(const std::string& scratch, int64_t max_bytes) {
  const int64_t bytes = header_.shape[0] * static_cast<int64_t>(item_numbers_ * header_.item_bytes);
  if (bytes > max_bytes) {
    return Failure(
        FailureReason::kBadData,
        absl::StrCat("its array in Fortran's order takes ", bytes, " bytes, of which at most ",
                     max_bytes, " are accepted; save it with numpy.ascontiguousarray"));
  }
  absl::StatusOr<OutputFile> file = OutputFile::Create(scratch);
  if (!file.ok()) return file.status();
  std::vector<uint8_t> piece(kPiece);
  for (int64_t at = 0; at < bytes;) {
    const auto size = static_cast<size_t>(std::min<int64_t>(kPiece, bytes - at));
    const absl::StatusOr<size_t> got = archive_->Read(piece.data(), size);
    if (!got.ok()) return AsBadData(got.status());
    if (*got < size) return Truncated(header_);
    const absl::Status status = file->Write(at, absl::MakeConstSpan(piece).first(size));
    if (!status.ok()) return status;
    at += static_cast<int64_t>(size);
  }
  unpacked_.emplace(*std::move(file));
  return absl::OkStatus();
}

absl::Status ArrayReader::ReadBlock() {
  const size_t number = header_.item_bytes;
  const size_t item = item_numbers_ * number;
  const auto all = static_cast<size_t>(header_.shape[0]);
  const auto first = static_cast<size_t>(next_);
  const size_t items = std::min(std::max<size_t>(kBlockBytes / item, 1), all - first);
  block_.resize(items * item);
  block_first_ = next_;
  std::vector<uint8_t> column(items * number);
  const std::vector<size_t> places = FortranPlaces(header_);
  for (size_t p = 0; p < places.size(); ++p) {
    const absl::Status status = unpacked_->Read(
        static_cast<int64_t>((places[p] * all + first) * number), absl::MakeSpan(column));
    if (!status.ok()) return status;
    for (size_t i = 0; i < items; ++i) {
      std::memcpy(&block_[i * item + p * number], &column[i * number], number);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ArrayReader::Next() {
  const size_t item = item_numbers_ * header_.item_bytes;
  std::string bytes(item, '\0');
  if (!unpacked_) {
    ++next_;
    const absl::StatusOr<size_t> got = archive_->Read(bytes.data(), item);
    if (!got.ok()) return AsBadData(got.status());
    if (*got < item) return Truncated(header_);
    return bytes;
  }
  auto at = static_cast<size_t>(next_ - block_first_) * item;
  if (at >= block_.size()) {
    if (absl::Status status = ReadBlock(); !status.ok()) return status;
    at = 0;
  }
  ++next_;
  bytes.assign(block_, at, item);
  return bytes;
}

}  // namespace atelier::models
