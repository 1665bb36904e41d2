// Tells the experiments that something happened to a job: one may have left the queue, reached an
// epoch's end, or ended.
#ifndef ATELIER_SERVER_JOBS_EXPERIMENT_SIGNAL_H_
#define ATELIER_SERVER_JOBS_EXPERIMENT_SIGNAL_H_

#include <functional>
#include <utility>
#include <vector>

#include "server/base/mutex.h"
#include "server/jobs/job_observer.h"

namespace atelier::jobs {

// Thread-safe.
class ExperimentSignal final : public JobObserver {
 public:
  // What is called; it never waits. None before.
  void SetKick(std::function<void()> kick) {
    MutexLock lock(&mutex_);
    kick_ = std::move(kick);
  }

  void Stored(const JobRecord& /*record*/, const std::vector<v1::JobEvent>& events) override {
    for (const v1::JobEvent& event : events) {
      if (event.has_transition() || event.has_epoch()) return Kick();
    }
  }

  void Deleted(const JobRecord& /*record*/) override { Kick(); }

 private:
  void Kick() {
    MutexLock lock(&mutex_);
    if (kick_) kick_();
  }

  Mutex mutex_;
  std::function<void()> kick_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXPERIMENT_SIGNAL_H_
