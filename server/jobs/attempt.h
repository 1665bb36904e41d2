// The steps an attempt takes a job through: begun, told to stop, ended in each of the ways there
// are. Each prepares a JobChange; pure but for that.
#ifndef ATELIER_SERVER_JOBS_ATTEMPT_H_
#define ATELIER_SERVER_JOBS_ATTEMPT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/jobs/executor.h"
#include "server/jobs/job_change.h"
#include "server/jobs/model_store.h"

namespace atelier::jobs {

// Errors of all: FAILED_PRECONDITION if the job's state does not allow the step.

// A client asks the job to stop. Ends it at once if nothing runs and no epoch was finished.
absl::Status RequestStop(JobChange* change);

// A new attempt's process has been started with the record's token, or an engine has taken it. A
// job that is stopping stays so: the attempt has only to evaluate and store what there is.
absl::Status BeginAttempt(const Launched& launched, int cores, JobChange* change);

// Where the attempt's process runs, as its executor says.
void PlaceAttempt(const std::string& place, JobChange* change);

// Moves on to `state`, through the states between, in the order of the job's life; does nothing if
// the job is there, further or stopping. INVALID_ARGUMENT for a state that is not in it.
absl::Status Advance(v1::JobState state, JobChange* change);

// The worker is gone without a word; `how` is a sentence's end ("killed by signal 9"). The job
// waits to be tried again, unless that was lost attempt number `max_lost` + 1 or it was to stop and
// has nothing to keep.
absl::Status LoseAttempt(absl::string_view how, int max_lost, JobChange* change);

// The worker ended in good order; the job waits to go on. `what` begins the sentence that says why
// ("The server stops").
absl::Status SuspendAttempt(absl::string_view reason, absl::string_view what, JobChange* change);

// The attempt failed, and the job with it.
absl::Status FailAttempt(absl::string_view reason, absl::string_view message, JobChange* change);

// The worker was stopped before an epoch was finished, or in an import.
absl::Status StopEmptyAttempt(JobChange* change);

// Says what registering a version does to its model's latest.
using LatestJudge = std::function<LatestVerdict(const v1::ModelVersion&)>;

// The archive is published as version `reserved_version`: registers it and ends the job.
absl::Status FinishAttempt(const worker::v1::Outcome& outcome, const LatestJudge& judge,
                           JobChange* change);

// The data set's file is published as version `reserved_version`: registers it and ends the job. Of
// an import that was to stop nothing is kept.
absl::Status FinishImport(const worker::v1::ImportOutcome& outcome, JobChange* change);

// True if the job waits for cores: queued, or stopping without an attempt.
bool WaitsForCores(const JobRecord& record);

// DATA_LOSS (DATABASE_DAMAGED) for a record of a job that has not ended and whose state, attempts
// and transitions do not belong together: no change leaves such a one.
absl::Status CheckUnended(const JobRecord& record);

// The worker evaluated a model or checked a data set: what it found is kept with the job, which is
// COMPLETED; STOPPED without it after a request to stop.
absl::Status FinishScoring(const worker::v1::ScoringOutcome& outcome, JobChange* change);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_ATTEMPT_H_
