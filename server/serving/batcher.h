// Computes what is asked of any version, in batches, on a fixed number of threads of its own.
#ifndef ATELIER_SERVER_SERVING_BATCHER_H_
#define ATELIER_SERVER_SERVING_BATCHER_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/serving/answer_batches.h"
#include "server/serving/batch_queue.h"

namespace atelier::serving {

// Thread-safe.
class Batcher {
 public:
  struct Options {
    int threads = 1;  // Each keeps one core busy.
    // Whether a thread may stay awake for the next request. It would keep those who bring that from
    // a machine's only core.
    bool lingers = true;
    BatchQueue::Options queue = {};
    // Told around the answers of each batch; null for nobody. Must outlive the batcher.
    AnswerBatches* answers = nullptr;
  };

  explicit Batcher(Options options);
  // Tells what waits UNAVAILABLE, after what is being computed has ended.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Never waits. OK: the item's `done` will be called, on a thread of the batcher's. Else it will
  // not: RESOURCE_EXHAUSTED if its version's queue is full, UNAVAILABLE at the end.
  absl::Status Submit(const std::shared_ptr<BatchItem>& item);

 private:
  void Run();
  // Stays awake a moment for the next request, if the last one came that soon after what had been
  // computed, and no other thread does.
  void Linger();
  // False when the threads have to end.
  bool Await(BatchQueue::Work* work);
  void Compute(const BatchQueue::Batch& batch);
  void TellAll(const std::vector<BatchQueue::ItemPtr>& items);

  const bool lingers_;
  AnswerBatches* const answers_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  SteadyTime computed_ ABSL_GUARDED_BY(mutex_);  // When the last batch was.
  // Whether the last request came soon after that.
  bool asked_again_ ABSL_GUARDED_BY(mutex_) = false;
  // Whether a thread stays awake for the next request, which sets this to false and wakes nobody.
  // Written under the lock.
  std::atomic<bool> lingering_{false};

  std::vector<std::thread> threads_;  // Constant after construction.
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_BATCHER_H_
