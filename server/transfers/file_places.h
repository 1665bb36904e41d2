// Where the files of an attempt lie, by what they are to it. A worker names a kind and a number and
// never a path; which paths there are, its assignment says. Thread-safe: free functions.
#ifndef ATELIER_SERVER_TRANSFERS_FILE_PLACES_H_
#define ATELIER_SERVER_TRANSFERS_FILE_PLACES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier::transfers {

// A file that can be read.
struct FilePlace {
  std::int64_t number = 0;
  std::string path;
};

// The files of a kind that an assignment has its worker read, as ListFilesResponse orders them; of
// a data set that has a folder instead of a file, none. PERMISSION_DENIED if it has none of the
// kind; others as models::ReadNames.
absl::StatusOr<std::vector<FilePlace>> SourcesOf(const worker::v1::Assignment& assignment,
                                                 worker::v1::FileKind kind);

// Where a file belongs that an attempt leaves. PERMISSION_DENIED if jobs of its kind leave none of
// this one, INVALID_ARGUMENT for a number that there cannot be.
absl::StatusOr<std::string> TargetOf(const worker::v1::Assignment& assignment,
                                     const worker::v1::AttemptFile& file);

// Bytes that such a file may have.
std::int64_t LargestOf(const worker::v1::Assignment& assignment, worker::v1::FileKind kind);

// The numbers of the checkpoints in a folder, largest first; none if it cannot be read. Links do
// not count.
std::vector<std::int64_t> CheckpointsIn(const std::string& folder);
std::string CheckpointPath(const std::string& folder, std::int64_t number);

}  // namespace atelier::transfers

#endif  // ATELIER_SERVER_TRANSFERS_FILE_PLACES_H_
