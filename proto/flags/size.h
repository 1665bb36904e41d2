// Numbers of bytes on command lines, for all three programs. Thread-safe: pure functions.
#ifndef ATELIER_PROTO_FLAGS_SIZE_H_
#define ATELIER_PROTO_FLAGS_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::flags {

// Reads `2GiB`, `512 MiB`, `1.5GB`, `1048576`. KiB, MiB, GiB and TiB are powers of 1,024; KB, MB,
// GB and TB of 1,000. INVALID_ARGUMENT with a sentence for any other text.
absl::StatusOr<std::int64_t> ParseSize(absl::string_view text);

// The type of an Abseil flag that ParseSize reads.
struct Size {
  std::int64_t bytes = 0;
};
bool AbslParseFlag(absl::string_view text, Size* size, std::string* error);
std::string AbslUnparseFlag(const Size& size);

}  // namespace atelier::flags

#endif  // ATELIER_PROTO_FLAGS_SIZE_H_
