// Folders on a machine where others may have accounts: what lies in them is believed, and removed
// again, so nobody else may have put it there. Thread-safe: a free function.
#ifndef ATELIER_SERVER_WORKER_OWN_FOLDER_H_
#define ATELIER_SERVER_WORKER_OWN_FOLDER_H_

#include <string>

#include "absl/status/status.h"

namespace atelier::worker {

// Makes the folder if it is not there, for this user alone, and the folders above it.
// FAILED_PRECONDITION if something is there that others may write to: a symbolic link, the folder
// of another user, or one that is writable by group or others. UNKNOWN where the disk fails.
absl::Status MakeOwnFolder(const std::string& folder);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_OWN_FOLDER_H_
