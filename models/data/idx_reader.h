// IDX files, the format MNIST and its kin are distributed in, plain or gzipped: a big-endian header
// (type and number of dimensions, then each dimension) followed by the items. Read piece by piece,
// so that memory does not follow what a header promises.
#ifndef ATELIER_MODELS_DATA_IDX_READER_H_
#define ATELIER_MODELS_DATA_IDX_READER_H_

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/stop_signal.h"

namespace atelier::models {

enum class IdxType : uint8_t { kUnsignedByte = 0x08, kInt32 = 0x0c };

// Not thread-safe. Errors are of FailureReason kBadData and name the file.
class IdxReader {
 public:
  // Opens a file and reads its header: an error if the file is missing, no plain file, of another
  // format or type, or promises more than `max_bytes` or than its size can hold.
  static absl::StatusOr<std::unique_ptr<IdxReader>> Open(const std::string& path,
                                                         int64_t max_bytes);
  IdxReader(const IdxReader&) = delete;
  IdxReader& operator=(const IdxReader&) = delete;
  ~IdxReader();

  const std::string& path() const { return path_; }
  IdxType type() const { return type_; }
  // 1 to 4 dimensions, none of them 0; the first counts the items.
  const std::vector<int64_t>& dimensions() const { return dimensions_; }
  // What the header promises after itself.
  int64_t bytes() const { return bytes_; }

  // The next `size` bytes after the header, row-major, as they are in the file; no more than
  // bytes() in all. kCancelled if `stop` (may be null) asks to end.
  absl::Status Read(uint8_t* to, int64_t size, const StopSignal* stop = nullptr);
  // To be called when all bytes were read: an error if the file goes on after them or its checksum
  // is wrong.
  absl::Status Finish();

 private:
  IdxReader(std::string path, gzFile file) : path_(std::move(path)), file_(file) {}

  absl::Status ReadHeader();
  absl::Status CheckBeginning(const uint8_t* magic);
  absl::Status SizeUp(int64_t on_disk, int64_t max_bytes);
  absl::StatusOr<int64_t> ReadSome(uint8_t* to, int64_t size);
  absl::Status ReadHeaderBytes(uint8_t* to, int64_t size, absl::string_view what);
  absl::Status Damaged(absl::string_view what) const;

  const std::string path_;
  const gzFile file_;
  IdxType type_ = IdxType::kUnsignedByte;
  std::vector<int64_t> dimensions_;
  int64_t bytes_ = 0;
  int64_t read_ = 0;  // Of bytes_.
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_IDX_READER_H_
