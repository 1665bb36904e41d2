// Whole files, written so that a crash or a full disk leaves the old file or the new one and never
// half of either. Thread-safe as long as one path has one writer.
#ifndef ATELIER_MODELS_FILES_DURABLE_FILE_H_
#define ATELIER_MODELS_FILES_DURABLE_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::models {

// Writes beside `path`, syncs, renames over it and syncs the folder. FailureReason kInternal, with
// path and cause, if any of it fails; nothing of the attempt is left then.
absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes);

// The file's bytes. FailureReason kInternal if it cannot be read, is no plain file or is larger
// than `max_bytes`.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_DURABLE_FILE_H_
