// What the controller tells of the jobs it stores: the seam between jobs and whoever counts them.
#ifndef ATELIER_SERVER_JOBS_JOB_OBSERVER_H_
#define ATELIER_SERVER_JOBS_JOB_OBSERVER_H_

#include <string>
#include <vector>

#include "server/jobs/job_store.h"

namespace atelier::jobs {

// Called in the order in which changes are stored, under the controller's lock, as the event log
// is: an implementation never waits and never calls the controller.
class JobObserver {
 public:
  virtual ~JobObserver() = default;

  // First of all: the jobs an earlier server left. Those that have not ended follow by Stored.
  virtual void Began(const JobCounts& stored) = 0;

  // A job as it is stored now, and the events that were stored with it; none for a job that an
  // earlier server left.
  virtual void Stored(const JobRecord& record, const std::vector<v1::JobEvent>& events) = 0;

  // The worker of a job whose turn had come could not be started; `why` is a sentence. Nothing was
  // stored, the job still waits. Without a lock.
  virtual void NotStarted(const JobRecord& record, const std::string& why) = 0;

  // A job that had ended was deleted. On any thread, without a lock.
  virtual void Deleted(const JobRecord& record) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_OBSERVER_H_
