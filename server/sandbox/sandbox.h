// Walls a process in, from within. After Enter it sees the files that it was given and the system's
// libraries, and makes the system calls that it needs; Linux holds all of its threads to that and
// has no way back. What Linux cannot hold it to here is said, never passed over. To be called by
// one thread.
#ifndef ATELIER_SERVER_SANDBOX_SANDBOX_H_
#define ATELIER_SERVER_SANDBOX_SANDBOX_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "server/sandbox/system_calls.h"
#include "server/sandbox/visible_files.h"

namespace atelier::sandbox {

struct Walls {
  VisibleFiles files;
  NeededCalls calls;
  // Bytes that a file may have which it writes.
  std::int64_t max_file_bytes = 0;
};

// What stands of the walls.
struct Standing {
  std::string walls;      // For a log: "Landlock ABI 7, system calls by list"; may be empty.
  absl::Status complete;  // Otherwise a sentence for each wall that is missing.
};

// To be called before there are other threads, and before a descriptor is opened: nothing that was
// inherited is left open but the standard streams; no program that it starts gains rights; it
// leaves no core file, opens at most 1,024 descriptors, and a file that grows too large is an error
// of the call that writes it. FAILED_PRECONDITION says what could not be had; the rest holds.
absl::Status Prepare();

// After Prepare. Both walls are put up, also if one of them fails.
Standing Enter(const Walls& walls);

}  // namespace atelier::sandbox

#endif  // ATELIER_SERVER_SANDBOX_SANDBOX_H_
