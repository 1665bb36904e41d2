// Tells serving that a job made a new version of a model.
#ifndef ATELIER_SERVER_WIRING_MODEL_SIGNAL_H_
#define ATELIER_SERVER_WIRING_MODEL_SIGNAL_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/mutex.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/resource_names.h"

namespace atelier::wiring {

// Thread-safe.
class ModelSignal final : public jobs::JobObserver {
 public:
  using Follow = std::function<void(const std::string& model)>;

  // What is called with the model's name once its version is registered; it never waits. Empty for
  // nothing. When this returns, what was set before is not being called any more.
  void SetFollow(Follow follow) {
    MutexLock lock(&mutex_);
    follow_ = std::move(follow);
  }

  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override {
    const std::string& version = record.job.result().model_version();
    if (version.empty() || events.empty()) return;
    const auto name = jobs::ParseModelName(version);
    MutexLock lock(&mutex_);
    if (name.ok() && follow_) follow_(name->model);
  }

 private:
  Mutex mutex_;
  Follow follow_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_MODEL_SIGNAL_H_
