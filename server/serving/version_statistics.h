// What was counted of one version since it was loaded, as the Open Inference Protocol tells it.
#ifndef ATELIER_SERVER_SERVING_VERSION_STATISTICS_H_
#define ATELIER_SERVER_SERVING_VERSION_STATISTICS_H_

#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace atelier::serving {

// How often something happened and how long it took together.
struct Tally {
  std::uint64_t count = 0;
  absl::Duration time;

  void Add(absl::Duration duration) {
    ++count;
    time += duration;
  }
};

struct VersionCounts {
  // Requests that were answered and that failed, from arrival to answer.
  Tally success;
  Tally fail;
  // Of those that were answered: waiting; decoding and checking; computing.
  Tally queue;
  Tally input;
  Tally compute;
  // Batches by their number of images.
  std::map<std::int64_t, Tally> batches;
  std::uint64_t images = 0;
  absl::Time last_request = absl::InfinitePast();  // Answered.
};

// Thread-safe.
class VersionStatistics {
 public:
  void Answered(std::uint64_t images, absl::Duration total, absl::Duration queue,
                absl::Duration input, absl::Duration compute, absl::Time now) {
    absl::MutexLock lock(&mutex_);
    counts_.success.Add(total);
    counts_.queue.Add(queue);
    counts_.input.Add(input);
    counts_.compute.Add(compute);
    counts_.images += images;
    counts_.last_request = now;
  }
  void Failed(absl::Duration total) {
    absl::MutexLock lock(&mutex_);
    counts_.fail.Add(total);
  }
  void Computed(std::int64_t images, absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    counts_.batches[images].Add(duration);
  }
  VersionCounts Read() const {
    absl::MutexLock lock(&mutex_);
    return counts_;
  }

 private:
  mutable absl::Mutex mutex_;
  VersionCounts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_VERSION_STATISTICS_H_
