#include "models/idx_reader.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "models/failure.h"

namespace atelier::models {
namespace {

constexpr uint8_t kUnsignedByte = 0x08;
constexpr int kMaxDimensions = 4;
constexpr int64_t kChunk = int64_t{1} << 20;
// Deflate's best; a file that promises more than this is lying.
constexpr int64_t kMaxCompression = 1032;

// Reads a file, unpacking it if it is gzipped.
class Source {
 public:
  explicit Source(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (file_ != nullptr) gzbuffer(file_, 1 << 17);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (file_ != nullptr) gzclose_r(file_);
  }

  absl::Status Check() const {
    std::error_code error;
    if (file_ == nullptr || !std::filesystem::is_regular_file(path_, error)) {
      return Damaged(error   ? error.message()
                     : errno ? std::strerror(errno)
                             : "it is no plain file");
    }
    return absl::OkStatus();
  }

  // Reads up to `size` ≤ kChunk bytes; fewer only at the end.
  absl::StatusOr<int64_t> Read(uint8_t* to, int64_t size) {
    const int got = gzread(file_, to, static_cast<unsigned>(size));
    int error = Z_OK;
    const char* text = gzerror(file_, &error);
    if (got < 0 && error != Z_BUF_ERROR) {
      return Damaged(absl::StrCat("it cannot be unpacked (", text, ")"));
    }
    // zlib tells a gzip stream that ends too early by Z_BUF_ERROR.
    if (error == Z_BUF_ERROR) return Damaged("it is truncated (the gzip data ends too early)");
    return got;
  }

  absl::Status Damaged(absl::string_view what) const {
    return Failure(FailureReason::kBadData, absl::StrCat("cannot read ", path_, ": ", what));
  }

 private:
  const std::string path_;
  gzFile file_;
};

int64_t BigEndian32(const uint8_t* bytes) {
  return int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

absl::Status ReadExactly(Source& source, uint8_t* to, int64_t size, absl::string_view what) {
  absl::StatusOr<int64_t> got = source.Read(to, size);
  if (!got.ok()) return got.status();
  if (*got == size) return absl::OkStatus();
  return source.Damaged(absl::StrCat("it is truncated within ", what));
}

absl::StatusOr<std::vector<int64_t>> ReadDimensions(Source& source) {
  std::array<uint8_t, 4> magic;
  if (absl::Status status = ReadExactly(source, magic.data(), 4, "its first four bytes");
      !status.ok()) {
    return status;
  }
  const int count = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != kUnsignedByte || count < 1 ||
      count > kMaxDimensions) {
    return source.Damaged(absl::StrFormat(
        "it begins with %02x%02x%02x%02x, but an IDX file of unsigned bytes begins with 00000801 "
        "to 00000804",
        magic[0], magic[1], magic[2], magic[3]));
  }
  std::array<uint8_t, 4 * kMaxDimensions> sizes;
  if (absl::Status status = ReadExactly(source, sizes.data(), 4 * count, "its header");
      !status.ok()) {
    return status;
  }
  std::vector<int64_t> dimensions;
  for (int i = 0; i < count; ++i) dimensions.push_back(BigEndian32(&sizes[4 * i]));
  return dimensions;
}

// The bytes that a header promises, if that is believable.
absl::StatusOr<int64_t> PromisedBytes(const Source& source, const std::string& path,
                                      const std::vector<int64_t>& dimensions, int64_t max_bytes) {
  std::error_code error;
  const auto on_disk = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error) return source.Damaged(error.message());
  int64_t bytes = 1;
  for (const int64_t dimension : dimensions) {
    if (dimension == 0) return source.Damaged("it is empty: its header has a dimension of 0");
    if (dimension > max_bytes / bytes) {
      return source.Damaged(absl::StrCat("its header promises more than the ", max_bytes,
                                         " bytes that are accepted"));
    }
    bytes *= dimension;
  }
  if (bytes / kMaxCompression > on_disk) {
    return source.Damaged(absl::StrCat("its header promises ", bytes, " bytes, which a file of ",
                                       on_disk, " bytes cannot hold"));
  }
  return bytes;
}

absl::Status ReadBody(Source& source, std::vector<uint8_t>& bytes, const StopSignal* stop) {
  const auto size = static_cast<int64_t>(bytes.size());
  for (int64_t have = 0; have < size;) {
    if (stop != nullptr && stop->Get() != StopRequest::kNone) {
      return Failure(FailureReason::kCancelled, "asked to stop while reading the data");
    }
    absl::StatusOr<int64_t> got = source.Read(bytes.data() + have, std::min(kChunk, size - have));
    if (!got.ok()) return got.status();
    if (*got == 0) {
      return source.Damaged(absl::StrCat("it is truncated: its header promises ", size,
                                         " bytes and ", have, " are there"));
    }
    have += *got;
  }
  // Reading on finds trailing bytes, and makes zlib check its own checksum.
  uint8_t beyond = 0;
  absl::StatusOr<int64_t> got = source.Read(&beyond, 1);
  if (!got.ok()) return got.status();
  if (*got != 0) {
    return source.Damaged(
        absl::StrCat("it goes on after the ", size, " bytes that its header promises"));
  }
  return absl::OkStatus();
}

absl::StatusOr<IdxFile> Read(const std::string& path, int64_t max_bytes, bool header_only,
                             const StopSignal* stop) {
  errno = 0;
  Source source(path);
  if (absl::Status status = source.Check(); !status.ok()) return status;
  absl::StatusOr<std::vector<int64_t>> dimensions = ReadDimensions(source);
  if (!dimensions.ok()) return dimensions.status();
  absl::StatusOr<int64_t> size = PromisedBytes(source, path, *dimensions, max_bytes);
  if (!size.ok()) return size.status();
  IdxFile file{*std::move(dimensions), {}};
  if (header_only) return file;
  file.bytes.resize(static_cast<size_t>(*size));
  if (absl::Status status = ReadBody(source, file.bytes, stop); !status.ok()) return status;
  return file;
}

}  // namespace

absl::StatusOr<IdxFile> ReadIdx(const std::string& path, int64_t max_bytes,
                                const StopSignal* stop) {
  return Read(path, max_bytes, /*header_only=*/false, stop);
}

absl::StatusOr<IdxFile> ReadIdxHeader(const std::string& path, int64_t max_bytes) {
  return Read(path, max_bytes, /*header_only=*/true, nullptr);
}

}  // namespace atelier::models
