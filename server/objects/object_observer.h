// What is counted of an object store: the seam to the metrics.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_OBSERVER_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_OBSERVER_H_

#include <cstdint>

namespace atelier::objects {

enum class ObjectWork { kUpload, kFetch, kRemoval };

// Thread-safe.
class ObjectObserver {
 public:
  virtual ~ObjectObserver() = default;
  // A try ended; `bytes` of the object were moved if it went well.
  virtual void Worked(ObjectWork work, bool ok, std::int64_t bytes) = 0;
  // What is still to be uploaded.
  virtual void Pending(std::int64_t objects, std::int64_t bytes) = 0;
  // Bytes of local files that have a copy in the store.
  virtual void Cached(std::int64_t bytes) = 0;
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_OBSERVER_H_
