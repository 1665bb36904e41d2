// Files of a data directory that no row of its database speaks of, and uploads.
#ifndef ATELIER_SERVER_UPKEEP_CHECK_ORPHANS_H_
#define ATELIER_SERVER_UPKEEP_CHECK_ORPHANS_H_

#include <string>

#include "absl/status/status.h"
#include "server/store/database_check.h"
#include "server/upkeep/report.h"

namespace atelier::upkeep {

// Tells of folders of jobs, checkpoints, models and data sets without a row; a repair moves them to
// `recovered`. Errors of the database.
absl::Status FindOrphans(const std::string& data_dir, store::DatabaseCheck* database,
                         Report* report);

// Compares uploads with what was announced; a repair moves those that are not it to `recovered`.
void CheckUploads(const std::string& data_dir, Report* report);

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_CHECK_ORPHANS_H_
