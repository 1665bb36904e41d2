// Which files of the data directory have, or are to have, a copy in an object store: the durable
// list that uploads and removals are worked off from, and that says where a file comes back from.
// server/store implements it.
#ifndef ATELIER_SERVER_JOBS_OBJECT_LIST_H_
#define ATELIER_SERVER_JOBS_OBJECT_LIST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier::jobs {

struct ObjectRecord {
  enum class State {
    kPending,  // To be uploaded.
    kStored,   // Uploaded, and verified.
    kDoomed,   // To be removed from the store.
  };

  std::string path;  // The file's, relative to the data directory.
  std::string key;   // The object's, behind the store's prefix.
  State state = State::kPending;
  std::int64_t generation = 0;  // Another one each time that the file is to be uploaded or removed.
  std::int64_t size_bytes = 0;
  // Of a stored object: SHA-256 of each part of so many bytes, one after the other, 32 bytes each.
  std::int64_t part_bytes = 0;
  std::string digests;
  std::string upload;  // The id of an upload in parts that was begun; empty if none was.
  int tries = 0;       // That failed.
};

// What is still to be uploaded.
struct ObjectTotals {
  std::int64_t pending = 0;
  std::int64_t pending_bytes = 0;
};

// Thread-safe; calls wait for the disk. What a call that changes something answered with OK is on
// the disk. Changes of a record count only while its generation is the list's; else they do
// nothing. Errors as JobStore's.
class ObjectList {
 public:
  virtual ~ObjectList() = default;

  // The file is to be uploaded, also if it was before.
  virtual absl::Status AddObject(absl::string_view path, absl::string_view key,
                                 std::int64_t size_bytes, absl::Time now) = 0;
  // The objects of all files whose path begins so are to be removed.
  virtual absl::Status DoomObjects(absl::string_view path_prefix, absl::Time now) = 0;
  // NOT_FOUND if the file has no object, or one that is to be removed.
  virtual absl::StatusOr<ObjectRecord> FindObject(absl::string_view path) = 0;
  // Those whose path begins so and that are not to be removed, the one that was added last first.
  virtual absl::StatusOr<std::vector<ObjectRecord>> ListObjects(absl::string_view path_prefix) = 0;

  // What is to be uploaded or removed, the one that has been due longest first, `limit` at most.
  virtual absl::StatusOr<std::vector<ObjectRecord>> DueObjects(absl::Time now, int limit) = 0;
  // When the next one is due; InfiniteFuture if there is none.
  virtual absl::StatusOr<absl::Time> NextObjectDue() = 0;
  virtual absl::StatusOr<ObjectTotals> PendingObjects() = 0;

  // Takes over `upload`.
  virtual absl::Status KeepUpload(const ObjectRecord& record) = 0;
  // The object is uploaded: takes over size, parts and digests.
  virtual absl::Status ObjectStored(const ObjectRecord& record, absl::Time now) = 0;
  // A try failed: it is due again at `due`.
  virtual absl::Status PostponeObject(const ObjectRecord& record, absl::Time due) = 0;
  // The object is removed.
  virtual absl::Status RemoveObject(const ObjectRecord& record) = 0;
  // All stored ones are to be uploaded again: the store has lost them.
  virtual absl::Status RequeueObjects(absl::Time now) = 0;

  // The file was used.
  virtual absl::Status TouchObject(absl::string_view path, absl::Time now) = 0;
  // Stored ones that were not used since `before` and that no unfinished job needs, the one that
  // was used longest ago first.
  virtual absl::StatusOr<std::vector<ObjectRecord>> IdleObjects(absl::Time before) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_OBJECT_LIST_H_
