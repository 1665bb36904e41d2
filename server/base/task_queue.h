// Threads for work that must not be done where it comes up: whatever waits for the disk or for a
// lock, away from gRPC's threads. The one pool of this kind in the server. Thread-safe.
#ifndef ATELIER_SERVER_BASE_TASK_QUEUE_H_
#define ATELIER_SERVER_BASE_TASK_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "server/base/mutex.h"

namespace atelier {

// Tasks start in the order they were added; with several threads they run beside each other, so
// who needs an order of its own adds one task at a time.
class TaskQueue {
 public:
  struct Options {
    std::string name = "tasks";   // Of the threads, as `ps` shows them; 12 characters count.
    int threads = 1;              // At least 1.
    std::size_t capacity = 1000;  // Tasks that may wait; those that run do not count.
  };

  explicit TaskQueue(const Options& options);
  // Runs what still waits, then joins the threads. Not to be called from a task.
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // False, and the task is dropped, when the queue is full: the caller answers that it is busy.
  // Never waits.
  [[nodiscard]] bool TryAdd(std::function<void()> task);

 private:
  void Run();

  // Constant after construction.
  const std::size_t capacity_;
  std::vector<std::thread> threads_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_TASK_QUEUE_H_
