// The files of the data directory that have a copy in the object store, as a cache of it: while
// they take more than a limit, those that were used longest ago go. A file that is not verified to
// be in the store is never touched.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_CACHE_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_CACHE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/object_list.h"

namespace atelier::objects {

// Thread-safe. Paths are relative to the data directory.
class ObjectCache {
 public:
  // A file stays for so long after it was last asked for, whatever the limit: whoever asked is
  // still to open it.
  static constexpr absl::Duration kGrace = absl::Minutes(10);

  // Both must live as long.
  ObjectCache(std::string data_dir, std::int64_t limit_bytes, const Clock* clock,
              jobs::ObjectList* list)
      : data_dir_(std::move(data_dir)), limit_bytes_(limit_bytes), clock_(clock), list_(list) {}

  std::string PathOf(const std::string& path) const { return data_dir_ + "/" + path; }

  // Whether the file is there; it then stays there for the grace.
  bool Use(const std::string& path);

  // Removes what is too much, but no checkpoints, which have a limit of their own, and nothing that
  // an unfinished job needs. Answers with the bytes that are left.
  absl::StatusOr<std::int64_t> Trim();

 private:
  absl::Status NoteUses(absl::Time now);
  // False if it is not there, or was asked for just now.
  bool Remove(const std::string& path, absl::Time now);

  const std::string data_dir_;
  const std::int64_t limit_bytes_;
  const Clock* const clock_;
  jobs::ObjectList* const list_;

  struct Usage {
    absl::Time time;
    bool noted = false;  // In the list.
  };

  // Held while a file is removed, so that none goes that was just found.
  Mutex mutex_;
  absl::flat_hash_map<std::string, Usage> used_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_CACHE_H_
