// Compares what the jobs of one creator have with what they may have.
#ifndef ATELIER_SERVER_JOBS_JOB_QUOTA_H_
#define ATELIER_SERVER_JOBS_JOB_QUOTA_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "atelier/v1/job.pb.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/job_limits.h"
#include "server/jobs/model_store.h"

namespace atelier::jobs {

// Thread-safe. Errors: RESOURCE_EXHAUSTED (CALLER_LIMIT), see over_limit.h, and the stores'.
class JobQuota {
 public:
  // What a creator's jobs have that have not ended.
  struct Use {
    std::int64_t jobs = 0;
    std::int64_t running = 0;
    std::int64_t cores = 0;  // Of those that run.
  };

  // `limits_of` may be empty: there are no limits. The stores must outlive it.
  JobQuota(LimitsOf limits_of, ModelStore* models, DatasetStore* datasets)
      : limits_of_(std::move(limits_of)), models_(models), datasets_(datasets) {}

  // Whether anybody may be limited. Where nobody is, nothing needs to be counted.
  bool limits() const { return limits_of_ != nullptr; }

  // Whether another job, which needs so many cores, may be taken in. May wait for the disk.
  absl::Status CheckNew(const v1::TrainingJob& job, std::int64_t cores, const Use& use) const;

  // Why a queued job must wait although there are cores for it, a sentence; empty if it need not.
  std::string WhyWait(const std::string& creator, std::int64_t cores, const Use& use) const;

  // Whether a creator's data sets and uploads, `uploads` bytes of them, may become larger by so
  // many bytes. Waits for the disk.
  absl::Status CheckData(const std::string& creator, std::int64_t uploads, std::int64_t more) const;

 private:
  absl::Status CheckModels(const std::string& creator, const JobLimits& limits) const;

  const LimitsOf limits_of_;
  ModelStore* const models_;
  DatasetStore* const datasets_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_QUOTA_H_
