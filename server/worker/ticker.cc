#include "server/worker/ticker.h"

#include <pthread.h>

#include <utility>

namespace atelier::worker {

Ticker::Ticker(const std::string& name, absl::Duration interval, std::function<void()> tick)
    : interval_(interval), tick_(std::move(tick)) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

Ticker::~Ticker() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

void Ticker::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&ending_), interval_)) return;
    }
    tick_();
  }
}

}  // namespace atelier::worker
