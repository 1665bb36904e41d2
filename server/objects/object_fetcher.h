// Brings files back from an object store, each once however many ask for it, on threads of its own.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_FETCHER_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_FETCHER_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/base/task_queue.h"
#include "server/jobs/object_list.h"
#include "server/objects/object_cache.h"
#include "server/objects/object_observer.h"
#include "server/objects/object_transfer.h"

namespace atelier::objects {

// Thread-safe. Paths are relative to the data directory.
class ObjectFetcher {
 public:
  // All must live as long.
  struct Dependencies {
    const Clock* clock = nullptr;
    jobs::ObjectList* list = nullptr;
    ObjectTransfer* transfer = nullptr;
    ObjectCache* cache = nullptr;
    ObjectObserver* observer = nullptr;
  };

  explicit ObjectFetcher(const Dependencies& with)
      : with_(with), tasks_({.name = "fetching", .threads = 2, .capacity = 1000}) {}

  // As jobs::ArtifactStore::Bring and Fetch.
  absl::StatusOr<bool> Bring(const std::string& path);
  absl::Status Fetch(const std::string& path);

 private:
  struct Fetching {
    bool running = true;
    absl::Status failure = {};     // Of the last try, and
    absl::Duration retry_at = {};  // when the next may be.
  };

  absl::StatusOr<bool> Begin(const jobs::ObjectRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(const jobs::ObjectRecord& record);

  const Dependencies with_;
  Mutex mutex_;
  CondVar ended_;
  absl::flat_hash_map<std::string, Fetching> fetching_ ABSL_GUARDED_BY(mutex_);
  TaskQueue tasks_;  // Last: its threads use the rest.
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_FETCHER_H_
