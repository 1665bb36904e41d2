// Works the list of objects off: uploads what is to be uploaded and removes what is to be removed,
// until it is true. While the store is away everything waits, and is tried again after pauses that
// grow to a minute; an object that fails for itself waits alone.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_MOVER_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_MOVER_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/jobs/object_list.h"
#include "server/objects/object_cache.h"
#include "server/objects/object_claim.h"
#include "server/objects/object_observer.h"
#include "server/objects/object_transfer.h"

namespace atelier::objects {

// Used by one thread.
class ObjectMover {
 public:
  struct Options {
    // Told a sentence when the store is away, when it is back, and for each object that fails.
    std::function<void(const std::string&)> log;
    // Called once the store is this server's: adds what is in no list yet. May be empty.
    std::function<absl::Status()> add_known;
  };
  // All must outlive it.
  struct Dependencies {
    const Clock* clock = nullptr;
    jobs::ObjectList* list = nullptr;
    S3Client* client = nullptr;
    ObjectTransfer* transfer = nullptr;
    ObjectClaim* claim = nullptr;
    ObjectCache* cache = nullptr;
    ObjectObserver* observer = nullptr;
  };

  ObjectMover(Options options, const Dependencies& with)
      : options_(std::move(options)), with_(with) {}

  // Does what is due, a few objects at most; says how long until it has to be called again.
  absl::Duration Tick();

 private:
  absl::Status Prepare();
  // The due ones; UNAVAILABLE if the store is away, CANCELLED when stopped.
  absl::Status MoveDue();
  absl::Status Move(const jobs::ObjectRecord& record);
  absl::Status Upload(const jobs::ObjectRecord& record);
  absl::Status Remove(const jobs::ObjectRecord& record);
  absl::Duration Pause(const absl::Status& why);
  absl::Duration UntilNext();
  void Report();

  const Options options_;
  const Dependencies with_;
  bool added_ = false;
  // While the store is away, however often Tick is called.
  absl::Duration paused_until_ = -absl::InfiniteDuration();
  int failures_ = 0;  // In a row, of the store.
  absl::Duration trimmed_ = -absl::InfiniteDuration();
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_MOVER_H_
