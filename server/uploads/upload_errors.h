// Errors of uploads. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_UPLOADS_UPLOAD_ERRORS_H_
#define ATELIER_SERVER_UPLOADS_UPLOAD_ERRORS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace atelier::uploads {

// For what `errno` says: RESOURCE_EXHAUSTED (DISK_FULL) if the disk is full, else INTERNAL.
absl::Status FileError(absl::string_view doing, const std::string& path);

// OUT_OF_RANGE (WRONG_OFFSET).
absl::Status WrongOffset(std::int64_t offset, std::int64_t expected);

}  // namespace atelier::uploads

#endif  // ATELIER_SERVER_UPLOADS_UPLOAD_ERRORS_H_
