// Makes a data directory of a backup.
#ifndef ATELIER_SERVER_UPKEEP_RESTORE_H_
#define ATELIER_SERVER_UPKEEP_RESTORE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::upkeep {

struct Restored {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

// Restores the backup in the file `archive` into `data_dir`, which must be missing or empty; what
// an interrupted restore left there is removed first. Nothing is in its place before all of the
// archive was read and has its digest, and all of it is durable when this answers. After an error
// nothing of it is left.
//
// FAILED_PRECONDITION if the directory is not empty or a server uses it; DATA_LOSS if the archive
// is cut off, damaged or no backup, or has anything that a backup never has: a link, a path out of
// the directory, a file twice; RESOURCE_EXHAUSTED if the disk is full.
absl::StatusOr<Restored> Restore(const std::string& archive, const std::string& data_dir);

// FAILED_PRECONDITION if a restore into the directory was interrupted: a server must not use it.
absl::Status CheckRestored(const std::string& data_dir);

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_RESTORE_H_
