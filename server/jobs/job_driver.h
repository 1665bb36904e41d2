// The thread that calls JobController::Tick when it is due or when something happened.
#ifndef ATELIER_SERVER_JOBS_JOB_DRIVER_H_
#define ATELIER_SERVER_JOBS_JOB_DRIVER_H_

#include "server/base/tick_thread.h"
#include "server/jobs/job_controller.h"

namespace atelier::jobs {

// Runs from construction to destruction; the controller must outlive it.
class JobDriver {
 public:
  explicit JobDriver(JobController* controller);
  ~JobDriver();
  JobDriver(const JobDriver&) = delete;
  JobDriver& operator=(const JobDriver&) = delete;

 private:
  JobController* const controller_;
  TickThread thread_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_DRIVER_H_
