#include "server/base/tick_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "server/base/mutex.h"
#include "server/base/system_clock.h"

namespace atelier {

struct TickThread::Signal {
  Mutex mutex;
  CondVar changed;
  bool kicked ABSL_GUARDED_BY(mutex) = true;  // Begins with a call.
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

TickThread::TickThread(Options options, std::function<absl::Duration()> tick)
    : signal_(std::make_shared<Signal>()),
      thread_([options = std::move(options), tick = std::move(tick), signal = signal_] {
        Run(options, tick, signal.get());
      }) {}

TickThread::~TickThread() {
  {
    MutexLock lock(&signal_->mutex);
    signal_->stopping = true;
    signal_->changed.NotifyAll();
  }
  thread_.join();
}

std::function<void()> TickThread::kick() const {
  return [signal = signal_] {
    MutexLock lock(&signal->mutex);
    signal->kicked = true;
    signal->changed.NotifyAll();
  };
}

void TickThread::Run(const Options& options, const std::function<absl::Duration()>& tick,
                     Signal* signal) {
  pthread_setname_np(pthread_self(), options.name.c_str());
  const SystemClock clock;
  absl::Duration due = absl::ZeroDuration();       // By `clock`.
  absl::Duration earliest = absl::ZeroDuration();  // By `clock`.
  while (true) {
    {
      MutexLock lock(&signal->mutex);
      while (!signal->stopping) {
        const absl::Duration next = signal->kicked ? earliest : std::max(earliest, due);
        const absl::Duration now = clock.Elapsed();
        if (now >= next) break;
        signal->changed.WaitFor(&signal->mutex, next - now);
      }
      if (signal->stopping) return;
      signal->kicked = false;
    }
    const absl::Duration wait = tick();
    due = clock.Elapsed() + wait;
    earliest = clock.Elapsed() + options.pause;
  }
}

}  // namespace atelier
