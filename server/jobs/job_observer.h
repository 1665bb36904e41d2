// What the controller reports of the jobs it stores: the seam between jobs and their observers.
#ifndef ATELIER_SERVER_JOBS_JOB_OBSERVER_H_
#define ATELIER_SERVER_JOBS_JOB_OBSERVER_H_

#include <string>
#include <utility>
#include <vector>

#include "server/jobs/job_store.h"

namespace atelier::jobs {

// Called in the order in which changes are stored, under the controller's lock, as the event log
// is: an implementation never waits and never calls the controller. Each handles what concerns it.
class JobObserver {
 public:
  virtual ~JobObserver() = default;

  // First of all: the jobs an earlier server left. Those that have not ended follow by Stored.
  virtual void Began(const JobCounts& /*stored*/) {}

  // A job as it is stored now, and the events that were stored with it; none for a job that an
  // earlier server left.
  virtual void Stored(const JobRecord& /*record*/, const std::vector<v1::JobEvent>& /*events*/) {}

  // The worker of a job whose turn had come could not be started; `why` is a sentence. Nothing was
  // stored, the job still waits. Without a lock.
  virtual void NotStarted(const JobRecord& /*record*/, const std::string& /*why*/) {}

  // A job that had ended was deleted. On any thread, without a lock.
  virtual void Deleted(const JobRecord& /*record*/) {}
};

// Tells several observers, in their order. All must outlive it; none may be null.
class JobObservers final : public JobObserver {
 public:
  explicit JobObservers(std::vector<JobObserver*> observers) : observers_(std::move(observers)) {}

  void Began(const JobCounts& stored) override {
    for (JobObserver* observer : observers_) observer->Began(stored);
  }
  void Stored(const JobRecord& record, const std::vector<v1::JobEvent>& events) override {
    for (JobObserver* observer : observers_) observer->Stored(record, events);
  }
  void NotStarted(const JobRecord& record, const std::string& why) override {
    for (JobObserver* observer : observers_) observer->NotStarted(record, why);
  }
  void Deleted(const JobRecord& record) override {
    for (JobObserver* observer : observers_) observer->Deleted(record);
  }

 private:
  const std::vector<JobObserver*> observers_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_OBSERVER_H_
