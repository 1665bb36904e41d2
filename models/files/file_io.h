// Writing and syncing by descriptor and path: the loops that every durable write needs. Each
// failure leaves its cause in `errno`, for callers name files and kinds of errors each in their own
// way. Thread-safe: free functions.
#ifndef ATELIER_MODELS_FILES_FILE_IO_H_
#define ATELIER_MODELS_FILES_FILE_IO_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::models {

// Writes all bytes from the descriptor's position on, however often a signal interrupts it. False,
// with `errno`, if some could not be written.
[[nodiscard]] bool WriteAll(int descriptor, absl::string_view bytes);

// The same from `offset` on, wherever the position is; several threads may write at once.
[[nodiscard]] bool WriteAllAt(int descriptor, absl::string_view bytes, std::int64_t offset);

// Syncs what lies at `path`: a file's content, or the names in a folder. False, with `errno`, if it
// cannot be opened or synced.
[[nodiscard]] bool SyncPath(const std::string& path);

// The folder that `path` lies in; "." for a path of one part.
std::string FolderOf(const std::string& path);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FILE_IO_H_
