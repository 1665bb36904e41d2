// The series of one running job: what the newest of its stored events say.
#ifndef ATELIER_SERVER_METRICS_JOB_SERIES_H_
#define ATELIER_SERVER_METRICS_JOB_SERIES_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/jobs/job_store.h"

namespace atelier::metrics {

// Not thread-safe; JobMetrics' lock guards it.
class JobSeries {
 public:
  // A new attempt runs: nothing of its process is known yet.
  void BeginAttempt(const jobs::JobRecord& record);
  void Apply(const v1::JobEvent& event);

 private:
  class Collector;
  friend std::vector<prometheus::MetricFamily> CollectJobs(
      const std::vector<std::pair<std::string, const JobSeries*>>& jobs);

  JobKind kind_ = JobKind::kTraining;
  int cores_ = 0;
  double memory_limit_bytes_ = 0;
  int epochs_ = 0;
  double last_checkpoint_ = 0;  // Unix time, seconds; the attempt's start before the first.
  std::optional<v1::Progress> progress_;
  std::optional<v1::EpochMetrics> epoch_;
  std::optional<v1::ResourceSample> resources_;
};

// The families of all jobs, by id. What a job does not know yet it has no sample of.
std::vector<prometheus::MetricFamily> CollectJobs(
    const std::vector<std::pair<std::string, const JobSeries*>>& jobs);

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_JOB_SERIES_H_
