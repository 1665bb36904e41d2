// A small file that several people and a server use: changed by one at a time, and as a whole.
#ifndef ATELIER_CLIENT_FILES_SHARED_FILE_H_
#define ATELIER_CLIENT_FILES_SHARED_FILE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::client {

// Replaces the file's content by what `edit` makes of it; "" if there is no file. Its owner, group
// and permissions stay; a new file belongs to its folder's group, and others cannot read it. While
// `edit` runs no other call changes a file of the folder. An error, one sentence naming the path,
// leaves the file as it was.
absl::Status EditSharedFile(
    const std::string& path, std::int64_t max_bytes,
    const std::function<absl::StatusOr<std::string>(const std::string& content)>& edit);

// The file's content; an error, one sentence, if it cannot be read or is too large.
absl::StatusOr<std::string> ReadSharedFile(const std::string& path, std::int64_t max_bytes);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FILES_SHARED_FILE_H_
