// The thread that calls JobController::Tick when it is due or when something happened.
#ifndef ATELIER_SERVER_JOBS_JOB_DRIVER_H_
#define ATELIER_SERVER_JOBS_JOB_DRIVER_H_

#include <memory>
#include <thread>

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
  // Shared with the kick that the controller holds, which may be called once more after the driver
  // has gone.
  struct Signal;

  static void Run(JobController* controller, Signal* signal);

  JobController* const controller_;
  const std::shared_ptr<Signal> signal_;
  std::thread thread_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_DRIVER_H_
