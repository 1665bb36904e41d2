// IDX files, the format MNIST and its kin are distributed in, plain or gzipped: a big-endian header
// (type and number of dimensions, then each dimension) followed by unsigned bytes. Sizes are
// checked before memory is allocated. Thread-safe: free functions.
#ifndef ATELIER_MODELS_IDX_READER_H_
#define ATELIER_MODELS_IDX_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/stop_signal.h"

namespace atelier::models {

struct IdxFile {
  // 1 to 4 dimensions; the first counts the items.
  std::vector<int64_t> dimensions;
  // Row-major; empty if only the header was read.
  std::vector<uint8_t> bytes;
};

// Reads a whole file. FailureReason kBadData, naming the file, if it is missing, damaged,
// truncated, longer than its header says, of another type than unsigned byte or larger than
// `max_bytes`; kCancelled if `stop` (may be null) asks to end.
absl::StatusOr<IdxFile> ReadIdx(const std::string& path, int64_t max_bytes,
                                const StopSignal* stop = nullptr);
// Reads the header alone, with the same checks as far as it allows them.
absl::StatusOr<IdxFile> ReadIdxHeader(const std::string& path, int64_t max_bytes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IDX_READER_H_
