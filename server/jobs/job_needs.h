// What a job asks of the machine, whatever it does. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_JOBS_JOB_NEEDS_H_
#define ATELIER_SERVER_JOBS_JOB_NEEDS_H_

#include "atelier/v1/job.pb.h"
#include "server/jobs/scheduler.h"

namespace atelier::jobs {

inline Scheduler::Resources NeedsOf(const v1::TrainingJob& job) {
  if (job.has_import()) {
    return {.cores = job.import().cores(), .memory_bytes = job.import().memory_bytes()};
  }
  return {.cores = job.spec().cores(), .memory_bytes = job.spec().memory_bytes()};
}

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_NEEDS_H_
