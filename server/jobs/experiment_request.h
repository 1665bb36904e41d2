// Checks a request to start an experiment and fills in every configuration. Pure but for what the
// resolver reads.
#ifndef ATELIER_SERVER_JOBS_EXPERIMENT_REQUEST_H_
#define ATELIER_SERVER_JOBS_EXPERIMENT_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/experiment_service.pb.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::jobs {

inline constexpr int kMaxRuns = 1000;  // Of one experiment.

// First part of the names of the experiment and its jobs.
std::string BaseName(const v1::StartExperimentRequest& request);

// A request that is in order.
struct ResolvedExperiment {
  std::string base_name;
  std::vector<v1::TrainingSpec> configurations;  // Every value present but the seed.
  std::vector<std::int64_t> seeds;               // At least one.
};

// INVALID_ARGUMENT naming the wrong fields, the first of them where there are very many.
absl::StatusOr<ResolvedExperiment> ResolveExperiment(const v1::StartExperimentRequest& request,
                                                     const SpecResolver& resolver);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXPERIMENT_REQUEST_H_
