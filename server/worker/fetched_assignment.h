// An assignment for a worker that does not see the server's data directory: what it reads is
// fetched, and its paths are those of this machine.
#ifndef ATELIER_SERVER_WORKER_FETCHED_ASSIGNMENT_H_
#define ATELIER_SERVER_WORKER_FETCHED_ASSIGNMENT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/worker/file_line.h"
#include "server/worker/node_cache.h"

namespace atelier::worker {

// Whether the assignment's paths are this machine's, too: its probe is read where it says. Looks
// again until `patience` is over, for file systems on a network may show a new file late.
bool SeesDataDirectory(const v1::Assignment& assignment, absl::Duration patience);

struct FetchedAssignment {
  v1::Assignment assignment;
  std::optional<NodeCache::Held> dataset;  // To be kept as long as it is read.
};

// Fetches all that the assignment reads: the data set by way of the cache, the rest into `folder`,
// where the attempt's own folder is made, too. NOT_FOUND if the server has not what the job needs,
// FAILED_PRECONDITION if the data set is larger than the cache, CANCELLED if it was given up,
// UNKNOWN where this machine's disk fails, UNAVAILABLE and INTERNAL where another attempt may have
// better luck, and the server's refusals.
absl::StatusOr<FetchedAssignment> FetchAssignment(const v1::Assignment& assignment, FileLine* line,
                                                  const NodeCache& cache,
                                                  const std::string& folder);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_FETCHED_ASSIGNMENT_H_
