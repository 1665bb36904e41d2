#include "server/jobs/job_driver.h"

#include <pthread.h>

#include "absl/time/time.h"
#include "server/jobs/mutex.h"
#include "server/jobs/system_clock.h"

namespace atelier::jobs {

struct JobDriver::Signal {
  Mutex mutex;
  CondVar changed;
  bool kicked ABSL_GUARDED_BY(mutex) = true;  // Begins with a Tick.
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

JobDriver::JobDriver(JobController* controller)
    : controller_(controller), signal_(std::make_shared<Signal>()) {
  controller_->SetKick([signal = signal_] {
    MutexLock lock(&signal->mutex);
    signal->kicked = true;
    signal->changed.NotifyAll();
  });
  thread_ = std::thread(&JobDriver::Run, controller_, signal_.get());
}

JobDriver::~JobDriver() {
  controller_->SetKick({});
  {
    MutexLock lock(&signal_->mutex);
    signal_->stopping = true;
    signal_->changed.NotifyAll();
  }
  thread_.join();
}

void JobDriver::Run(JobController* controller, Signal* signal) {
  pthread_setname_np(pthread_self(), "jobs");
  const SystemClock clock;
  absl::Duration due = absl::ZeroDuration();  // By `clock`.
  while (true) {
    {
      MutexLock lock(&signal->mutex);
      while (!signal->stopping && !signal->kicked && clock.Elapsed() < due) {
        signal->changed.WaitFor(&signal->mutex, due - clock.Elapsed());
      }
      if (signal->stopping) return;
      signal->kicked = false;
    }
    const absl::Duration wait = controller->Tick();
    due = clock.Elapsed() + wait;
  }
}

}  // namespace atelier::jobs
