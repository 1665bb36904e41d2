#include "models/data/idx_reader.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "models/base/check_stop.h"
#include "models/base/failure.h"
#include "models/files/known_formats.h"
#include "models/files/regular_file.h"

namespace atelier::models {
namespace {

constexpr int kMaxDimensions = 4;
constexpr int64_t kChunk = int64_t{1} << 20;
// Deflate's best; a file that promises more than this is lying.
constexpr int64_t kMaxCompression = 1032;

int64_t BigEndian32(const uint8_t* bytes) {
  return int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

}  // namespace

absl::StatusOr<std::unique_ptr<IdxReader>> IdxReader::Open(const std::string& path,
                                                           int64_t max_bytes) {
  absl::StatusOr<RegularFile> file = RegularFile::Open(path);
  if (!file.ok()) {
    // For want of a descriptor nothing is wrong with the file.
    return Failure(absl::IsResourceExhausted(file.status()) ? FailureReason::kInternal
                                                            : FailureReason::kBadData,
                   file.status().message());
  }
  const int64_t on_disk = file->size();
  const gzFile stream = gzdopen(file->descriptor(), "rb");
  if (stream == nullptr) {
    return Failure(FailureReason::kBadData, absl::StrCat("cannot read ", path));
  }
  file->Release();
  gzbuffer(stream, 1 << 17);
  std::unique_ptr<IdxReader> reader(new IdxReader(path, stream));
  if (absl::Status status = reader->ReadHeader(); !status.ok()) return status;
  if (absl::Status status = reader->SizeUp(on_disk, max_bytes); !status.ok()) return status;
  return reader;
}

IdxReader::~IdxReader() { gzclose_r(file_); }

absl::Status IdxReader::Damaged(absl::string_view what) const {
  return Failure(FailureReason::kBadData, absl::StrCat("cannot read ", path_, ": ", what));
}

// Reads up to `size` ≤ kChunk bytes; fewer only at the end.
absl::StatusOr<int64_t> IdxReader::ReadSome(uint8_t* to, int64_t size) {
  const int got = gzread(file_, to, static_cast<unsigned>(size));
  int error = Z_OK;
  const absl::string_view text = gzerror(file_, &error);
  if (got < 0 && error != Z_BUF_ERROR) {
    // What stands before the last colon is the descriptor.
    const absl::string_view what = text.substr(text.rfind(':') + 1);
    return Damaged(
        absl::StrCat("it cannot be unpacked (", absl::StripLeadingAsciiWhitespace(what), ")"));
  }
  // zlib tells a gzip stream that ends too early by Z_BUF_ERROR.
  if (error == Z_BUF_ERROR) return Damaged("it is truncated (the gzip data ends too early)");
  return got;
}

absl::Status IdxReader::ReadHeaderBytes(uint8_t* to, int64_t size, absl::string_view what) {
  const absl::StatusOr<int64_t> got = ReadSome(to, size);
  if (!got.ok()) return got.status();
  if (*got == size) return absl::OkStatus();
  return Damaged(absl::StrCat("it is truncated within ", what));
}

absl::Status IdxReader::ReadHeader() {
  std::array<uint8_t, 4> magic;
  if (absl::Status status = ReadHeaderBytes(magic.data(), 4, "its first four bytes");
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckBeginning(magic.data()); !status.ok()) return status;
  type_ = static_cast<IdxType>(magic[2]);
  const int count = magic[3];
  std::array<uint8_t, 4 * kMaxDimensions> sizes;
  if (absl::Status status = ReadHeaderBytes(sizes.data(), 4 * count, "its header"); !status.ok()) {
    return status;
  }
  for (int i = 0; i < count; ++i) dimensions_.push_back(BigEndian32(&sizes[4 * i]));
  return absl::OkStatus();
}

absl::Status IdxReader::CheckBeginning(const uint8_t* magic) {
  const bool type_known = magic[2] == static_cast<uint8_t>(IdxType::kUnsignedByte) ||
                          magic[2] == static_cast<uint8_t>(IdxType::kInt32);
  if (magic[0] == 0 && magic[1] == 0 && type_known && magic[3] >= 1 && magic[3] <= kMaxDimensions) {
    return absl::OkStatus();
  }
  std::string beginning(256, '\0');
  std::memcpy(beginning.data(), magic, 4);
  // What cannot be read shows in the four bytes as well.
  const auto more = ReadSome(reinterpret_cast<uint8_t*>(&beginning[4]), 252);
  beginning.resize(static_cast<size_t>(4 + more.value_or(0)));
  const absl::string_view known = KnownByBeginning(beginning);
  if (!known.empty()) return Damaged(known);
  return Damaged(absl::StrFormat(
      "it begins with %02x%02x%02x%02x, but an IDX file of unsigned bytes begins with 00000801 to "
      "00000804, one of 32-bit integers with 00000c01 to 00000c04",
      magic[0], magic[1], magic[2], magic[3]));
}

// Believes the header, or not.
absl::Status IdxReader::SizeUp(int64_t on_disk, int64_t max_bytes) {
  bytes_ = type_ == IdxType::kInt32 ? 4 : 1;
  for (const int64_t dimension : dimensions_) {
    if (dimension == 0) return Damaged("it is empty: its header has a dimension of 0");
    if (dimension > max_bytes / bytes_) {
      return Damaged(absl::StrCat("its header promises more than the ", max_bytes,
                                  " bytes that are accepted"));
    }
    bytes_ *= dimension;
  }
  if (bytes_ / kMaxCompression > on_disk) {
    return Damaged(absl::StrCat("its header promises ", bytes_, " bytes, which a file of ", on_disk,
                                " bytes cannot hold"));
  }
  return absl::OkStatus();
}

absl::Status IdxReader::Read(uint8_t* to, int64_t size, const StopSignal* stop) {
  while (size > 0) {
    if (absl::Status status = CheckStop(stop, "reading the data"); !status.ok()) return status;
    const absl::StatusOr<int64_t> got = ReadSome(to, std::min(kChunk, size));
    if (!got.ok()) return got.status();
    if (*got == 0) {
      return Damaged(absl::StrCat("it is truncated: its header promises ", bytes_, " bytes and ",
                                  read_, " are there"));
    }
    to += *got;
    size -= *got;
    read_ += *got;
  }
  return absl::OkStatus();
}

absl::Status IdxReader::Finish() {
  // Reading on finds trailing bytes, and makes zlib check its own checksum.
  uint8_t beyond = 0;
  const absl::StatusOr<int64_t> got = ReadSome(&beyond, 1);
  if (!got.ok()) return got.status();
  if (*got == 0) return absl::OkStatus();
  return Damaged(absl::StrCat("it goes on after the ", bytes_, " bytes that its header promises"));
}

}  // namespace atelier::models
