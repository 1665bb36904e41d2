// How one thread asks another, busy in models/, to end. Thread-safe, lock-free, usable from any
// thread; asking again is harmless.
#ifndef ATELIER_MODELS_BASE_STOP_SIGNAL_H_
#define ATELIER_MODELS_BASE_STOP_SIGNAL_H_

#include <atomic>

namespace atelier::models {

enum class StopRequest {
  kNone,
  kStop,     // End, and keep what has been reached.
  kSuspend,  // Write a checkpoint and end, to be continued. Beats kStop.
};

class StopSignal {
 public:
  void Stop() {
    StopRequest expected = StopRequest::kNone;
    request_.compare_exchange_strong(expected, StopRequest::kStop);
  }
  void Suspend() { request_.store(StopRequest::kSuspend); }
  StopRequest Get() const { return request_.load(std::memory_order_relaxed); }

 private:
  std::atomic<StopRequest> request_{StopRequest::kNone};
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_STOP_SIGNAL_H_
