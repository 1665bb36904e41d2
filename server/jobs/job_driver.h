// The thread that calls JobController::Tick when it is due or when something happened.
#ifndef ATELIER_SERVER_JOBS_JOB_DRIVER_H_
#define ATELIER_SERVER_JOBS_JOB_DRIVER_H_

#include <thread>

#include "server/jobs/job_controller.h"
#include "server/jobs/mutex.h"

namespace atelier::jobs {

// Runs from construction to destruction; the controller must outlive it.
class JobDriver {
 public:
  explicit JobDriver(JobController* controller);
  ~JobDriver();
  JobDriver(const JobDriver&) = delete;
  JobDriver& operator=(const JobDriver&) = delete;

 private:
  void Run();
  void Kick();

  JobController* const controller_;
  Mutex mutex_;
  CondVar kicked_changed_;
  bool kicked_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_DRIVER_H_
