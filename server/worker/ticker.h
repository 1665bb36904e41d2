// A thread that calls a function again and again. Runs from construction to destruction.
#ifndef ATELIER_SERVER_WORKER_TICKER_H_
#define ATELIER_SERVER_WORKER_TICKER_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace atelier::worker {

class Ticker {
 public:
  // Calls `tick` every `interval`, first after one; `name` is the thread's, 15 characters at most.
  Ticker(const std::string& name, absl::Duration interval, std::function<void()> tick);
  // Waits for a call that is under way.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run();

  const absl::Duration interval_;
  const std::function<void()> tick_;
  absl::Mutex mutex_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_TICKER_H_
