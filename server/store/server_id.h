// What tells one server from another beyond its machine, and files that it shares with machines
// that see its data directory. Thread-safe: free functions; one server has the directory.
#ifndef ATELIER_SERVER_STORE_SERVER_ID_H_
#define ATELIER_SERVER_STORE_SERVER_ID_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::store {

// 16 hexadecimal digits that were drawn when the data directory was first asked for them, in its
// file `server-id`. A copy of the directory has the same: remove the file there before another
// server uses the copy. FAILED_PRECONDITION with a sentence if the file cannot be read or made.
absl::StatusOr<std::string> ServerId(const std::string& data_dir);

// Copies a file, of at most 1 MiB, into the data directory under a name and answers with its path.
// A copy of the same content stays in its place. FAILED_PRECONDITION with a sentence.
absl::StatusOr<std::string> ShareFile(const std::string& path, const std::string& data_dir,
                                      const std::string& name);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_SERVER_ID_H_
