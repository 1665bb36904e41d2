#include "server/uploads/upload_errors.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::uploads {

absl::Status FileError(absl::string_view doing, const std::string& path) {
  const std::string message =
      absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno), ".");
  if (errno == ENOSPC || errno == EDQUOT) {
    return jobs::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", message);
  }
  return absl::InternalError(message);
}

absl::Status WrongOffset(std::int64_t offset, std::int64_t expected) {
  return jobs::Error(absl::StatusCode::kOutOfRange, "WRONG_OFFSET",
                     absl::StrCat("The piece begins at byte ", offset, "; it must begin at ",
                                  expected, ", where what was received ends."));
}

}  // namespace atelier::uploads
