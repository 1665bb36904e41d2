#include "server/jobs/job_driver.h"

namespace atelier::jobs {

JobDriver::JobDriver(JobController* controller)
    : controller_(controller),
      thread_({.name = "jobs", .pause = absl::ZeroDuration()},
              [controller] { return controller->Tick(); }) {
  controller_->SetKick(thread_.kick());
  // For what happened between the first call and now.
  thread_.kick()();
}

JobDriver::~JobDriver() { controller_->SetKick({}); }

}  // namespace atelier::jobs
