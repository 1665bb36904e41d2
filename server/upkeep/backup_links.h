// The files of a data directory that belong in a backup, linked into a folder of their own, so that
// what is deleted meanwhile is still there to be sent. Thread-safe: free functions.
#ifndef ATELIER_SERVER_UPKEEP_BACKUP_LINKS_H_
#define ATELIER_SERVER_UPKEEP_BACKUP_LINKS_H_

#include <string>

#include "absl/status/status.h"

namespace atelier::upkeep {

// What rows of the database speak of: models and data sets. Errors name the file.
absl::Status LinkPublished(const std::string& data_dir, const std::string& target);

// All else: checkpoints, logs, complete uploads, the audit log. What goes meanwhile is left out.
absl::Status LinkRest(const std::string& data_dir, const std::string& target);

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_BACKUP_LINKS_H_
