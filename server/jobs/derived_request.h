// Requests to train that build on an earlier training: one that resembles it, and one that goes on
// where it ended. Pure functions.
#ifndef ATELIER_SERVER_JOBS_DERIVED_REQUEST_H_
#define ATELIER_SERVER_JOBS_DERIVED_REQUEST_H_

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.pb.h"
#include "server/jobs/job_store.h"

namespace atelier::jobs {

// `given`, completed by an accepted specification `like` as StartTrainingRequest.like says. What
// `like` has from its recipe, or because of its optimizer, schedule, batch size or network, is left
// out where `given` has another.
v1::TrainingSpec MergeLike(v1::TrainingSpec like, v1::TrainingSpec given);

// The specification of a job that continues an ended one, as StartTrainingRequest.continue_job
// says. INVALID_ARGUMENT naming every field that cannot be as it is given.
absl::StatusOr<v1::TrainingSpec> MergeContinued(const JobRecord& ended,
                                                const v1::StartTrainingRequest& request);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_DERIVED_REQUEST_H_
