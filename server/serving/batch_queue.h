// What waits to be computed, and what is computed next: the rules of dynamic batching, without
// threads or a clock of its own.
//
// Every version has a queue of its own; those that have work take turns, a batch each, so a busy
// model cannot starve another. A batch is made of whatever images of the version wait, of any
// callers, up to the maximum. Requests with more images than that are computed in several batches,
// one request after the other: if all advanced together, all would be late under overload. They
// stand in a line of their own that takes turns with the others', so they do not hold those up.
// Requests that were cancelled, or whose deadline is too near to be met, are given up when their
// turn comes, or that of what is left of them: nothing more is computed for them.
#ifndef ATELIER_SERVER_SERVING_BATCH_QUEUE_H_
#define ATELIER_SERVER_SERVING_BATCH_QUEUE_H_

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/serving/engine.h"
#include "server/serving/served_version.h"
#include "server/serving/serving_observer.h"

namespace atelier::serving {

// One request's images on their way through the queue.
struct BatchItem {
  // Constant once added. What `pixels` view must stay until `done` was called.
  std::shared_ptr<ServedVersion> version;
  Pixels pixels;
  std::size_t images = 0;
  SteadyTime arrival;
  SteadyTime deadline = SteadyTime::max();
  std::function<bool()> cancelled;  // May be empty; never waits.
  // Called once with the item, when `status` and the results are final.
  std::function<void(BatchItem& item)> done;

  // Written by those who compute, each its own images.
  std::vector<float> probabilities;

  // The queue's, until `done` is called.
  absl::Status status;
  bool queued = false;
  std::size_t taken = 0;     // Images that are in a batch or were.
  std::size_t computed = 0;  // Images whose batch has ended.
  std::size_t largest_batch = 0;
  std::optional<SteadyTime> begin;  // Of its first batch.
};

// Not thread-safe.
class BatchQueue {
 public:
  struct Options {
    std::size_t max_batch = 32;  // Images.
    // A version's queue that has so many images takes no further request.
    std::size_t max_queued_images = 4096;
    // How long images may wait for their batch to become full; zero: not at all.
    absl::Duration max_delay = absl::ZeroDuration();
  };
  using ItemPtr = std::shared_ptr<BatchItem>;

  // Images [first, first + count) of an item.
  struct Slice {
    ItemPtr item;
    std::size_t first = 0;
    std::size_t count = 0;
  };
  struct Batch {
    std::shared_ptr<ServedVersion> version;
    std::vector<Slice> slices;
    std::size_t images = 0;
    DispatchReason reason = DispatchReason::kIdle;
  };
  // What Take found: at most one batch, and requests that were given up and are to be told so.
  struct Work {
    std::optional<Batch> batch;
    std::vector<ItemPtr> given_up;
  };

  // `engines` compute at the same time.
  explicit BatchQueue(Options options, std::size_t engines = 1)
      : options_(options), engines_(engines) {}

  // RESOURCE_EXHAUSTED if the version's queue is full.
  absl::Status Add(ItemPtr item);

  // The next batch if one is due, for an engine that is idle now.
  Work Take(SteadyTime now);

  // When the next batch will be due, if nothing is added meanwhile; nothing if none waits.
  std::optional<SteadyTime> NextDue() const;

  // A slice's batch has ended. True if that was the item's last: it is to be told.
  bool Complete(const Slice& slice, const absl::Status& status);

  // Everything that waits, with `status`; empty afterwards.
  std::vector<ItemPtr> Clear(const absl::Status& status);

 private:
  struct VersionQueue {
    std::shared_ptr<ServedVersion> version;
    // Requests that one batch can hold, and larger ones; in order of arrival.
    std::array<std::deque<ItemPtr>, 2> lines;
    std::size_t turn = 0;    // The line that the next batch begins with.
    std::size_t images = 0;  // That are in no batch yet.

    bool empty() const { return lines[0].empty() && lines[1].empty(); }
  };

  SteadyTime DueOf(const VersionQueue& queue) const;
  // The batch of one version; nothing if all that waited was given up.
  std::optional<Batch> Fill(VersionQueue& queue, SteadyTime now, std::vector<ItemPtr>& given_up);
  // From the line whose turn it is.
  void FillFrom(VersionQueue& queue, SteadyTime now, Batch& batch, std::vector<ItemPtr>& given_up);
  // Why the item is not to be computed; OK if it is.
  absl::Status GivenUp(const BatchItem& item, SteadyTime now) const;

  const Options options_;
  const std::size_t engines_;
  absl::flat_hash_map<const ServedVersion*, VersionQueue> queues_;  // Those that have items.
  std::deque<const ServedVersion*> turns_;                          // Each of them once.
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_BATCH_QUEUE_H_
