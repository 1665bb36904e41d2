// Checks a request to evaluate a model or to check a data set and fills in what was left out.
// Thread-safe: pure functions but for what they read.
#ifndef ATELIER_SERVER_JOBS_SCORING_REQUEST_H_
#define ATELIER_SERVER_JOBS_SCORING_REQUEST_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/model_store.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::jobs {

// What the job of a request evaluates. `limits` says what the server has. INVALID_ARGUMENT naming
// the wrong field; errors of the stores. May read a data set's headers from disk.
absl::StatusOr<v1::EvaluationSpec> ResolveEvaluation(const v1::EvaluateModelRequest& request,
                                                     ModelStore* models, DatasetSource* datasets,
                                                     const SpecResolver::Options& limits);

// What the job of a request checks; as above.
absl::StatusOr<v1::CheckSpec> ResolveCheck(const v1::CheckDatasetRequest& request,
                                           DatasetSource* datasets,
                                           const SpecResolver::Options& limits);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_SCORING_REQUEST_H_
