// Verifies a data directory that no server uses: the database, every file's checksum, and whether
// each file has a row and each row its file.
#ifndef ATELIER_SERVER_UPKEEP_CHECK_H_
#define ATELIER_SERVER_UPKEEP_CHECK_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace atelier::upkeep {

struct CheckOptions {
  std::string data_dir;
  // Mends what can be mended. Nothing is deleted: files that belong to nothing move to the folder
  // `recovered`.
  bool repair = false;
  std::function<void(const std::string& line)> print;  // Told the report, line by line.
};

// True if the directory is sound, with `repair` afterwards. NOT_FOUND if it is no data directory;
// FAILED_PRECONDITION if a server uses it, a newer version made it, or a restore into it was
// interrupted; DATA_LOSS if the database cannot be read at all.
absl::StatusOr<bool> CheckDataDirectory(const CheckOptions& options);

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_CHECK_H_
