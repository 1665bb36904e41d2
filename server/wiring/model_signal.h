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

// Thread-safe. Passes on what it is told.
class ModelSignal final : public jobs::JobObserver {
 public:
  using Follow = std::function<void(const std::string& model)>;

  // `next` is told as well and must outlive it; null for nobody.
  explicit ModelSignal(jobs::JobObserver* next) : next_(next) {}

  // What is called with the model's name once its version is registered; it never waits. Empty for
  // nothing. When this returns, what was set before is not being called any more.
  void SetFollow(Follow follow) {
    MutexLock lock(&mutex_);
    follow_ = std::move(follow);
  }

  void Began(const jobs::JobCounts& stored) override {
    if (next_ != nullptr) next_->Began(stored);
  }

  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override {
    if (next_ != nullptr) next_->Stored(record, events);
    const std::string& version = record.job.result().model_version();
    if (version.empty() || events.empty()) return;
    const auto name = jobs::ParseModelName(version);
    MutexLock lock(&mutex_);
    if (name.ok() && follow_) follow_(name->model);
  }

  void NotStarted(const jobs::JobRecord& record, const std::string& why) override {
    if (next_ != nullptr) next_->NotStarted(record, why);
  }

  void Deleted(const jobs::JobRecord& record) override {
    if (next_ != nullptr) next_->Deleted(record);
  }

 private:
  jobs::JobObserver* const next_;
  Mutex mutex_;
  Follow follow_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_MODEL_SIGNAL_H_
