// What a POSIX tar archive has besides its files' bytes, for archives that are written as a stream.
// Thread-safe: pure functions.
#ifndef ATELIER_MODELS_FILES_TAR_HEADER_H_
#define ATELIER_MODELS_FILES_TAR_HEADER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::models {

// The header of a plain file: 512 bytes, or more for a name or size that needs a record of its own.
std::string TarHeader(absl::string_view name, int64_t size);

// How many zero bytes follow a file of `size` bytes.
int64_t TarPadding(int64_t size);

// What follows the last file.
std::string TarEnd();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_TAR_HEADER_H_
