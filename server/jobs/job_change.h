// One step in a job's life, prepared on a copy of its record: what is in it is stored together or
// not at all. No disk, no clock of its own.
#ifndef ATELIER_SERVER_JOBS_JOB_CHANGE_H_
#define ATELIER_SERVER_JOBS_JOB_CHANGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"
#include "server/jobs/job_store.h"

namespace atelier::jobs {

// Not thread-safe.
class JobChange {
 public:
  // `now` is the time of everything in the change that has no time of its own; should the clock
  // have been set back, it is the newest time in the record instead, so that nothing ends before it
  // began.
  JobChange(JobRecord before, absl::Time now);

  JobRecord& record() { return update_.record; }
  const JobRecord& record() const { return update_.record; }
  v1::JobState state() const { return update_.record.job.state(); }
  absl::Time now() const { return now_; }

  // Changes the state, with its transition and event. FAILED_PRECONDITION if the table has no such
  // transition; the change is as before then.
  absl::Status Enter(v1::JobState state, absl::string_view reason, absl::string_view message);

  // Appends an event: gives it its number, and attempt and time where it has none.
  void Append(v1::JobEvent event);

  // Withdraws progress stored before this change, from `first` on, appends the Rewound event and
  // sets the record back to `epoch` finished epochs and `step` steps of the next.
  void Rewind(std::int64_t first, std::int32_t epoch, std::int32_t step);

  JobUpdate& update() { return update_; }
  const JobUpdate& update() const { return update_; }

 private:
  JobUpdate update_;
  absl::Time now_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_CHANGE_H_
