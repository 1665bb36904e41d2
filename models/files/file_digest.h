// The SHA-256 of a file. Thread-safe: a free function.
#ifndef ATELIER_MODELS_FILES_FILE_DIGEST_H_
#define ATELIER_MODELS_FILES_FILE_DIGEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"

namespace atelier::models {

// Reads all of it: 64 lower-case hexadecimal digits. NOT_FOUND and others as RegularFile::Open;
// CANCELLED if `stop` (may be null) asks to end.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path, const StopSignal* stop = nullptr);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FILE_DIGEST_H_
