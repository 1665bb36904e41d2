// The SHA-256 of a file, and what one looks like. Thread-safe: free functions.
#ifndef ATELIER_MODELS_FILES_FILE_DIGEST_H_
#define ATELIER_MODELS_FILES_FILE_DIGEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/stop_signal.h"

namespace atelier::models {

// Reads all of it: 64 lower-case hexadecimal digits. NOT_FOUND and others as RegularFile::Open;
// CANCELLED if `stop` (may be null) asks to end.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path, const StopSignal* stop = nullptr);

// Whether a text is 64 lower-case hexadecimal digits.
bool IsSha256(absl::string_view text);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FILE_DIGEST_H_
