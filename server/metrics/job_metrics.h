// Counts jobs and shows the running ones: what the controller stores becomes series.
#ifndef ATELIER_SERVER_METRICS_JOB_METRICS_H_
#define ATELIER_SERVER_METRICS_JOB_METRICS_H_

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/job_observer.h"
#include "server/metrics/job_series.h"

namespace atelier::metrics {

// Thread-safe; its lock is a leaf. Holds something for each job that has not ended and for the few
// that failed last.
class JobMetrics final : public jobs::JobObserver, public prometheus::Collectable {
 public:
  struct Options {
    int worker_cores = 1;             // There are for workers.
    std::size_t queue_capacity = 0;   // Jobs that may wait.
    std::size_t failures_named = 20;  // Jobs that failed last and are shown by name.
  };

  // `clock` and `registry` must outlive it; counters and histograms are added to the registry, at
  // zero for every state and reason there is.
  JobMetrics(const Options& options, const Clock* clock, prometheus::Registry* registry);

  // jobs::JobObserver
  void Began(const jobs::JobCounts& stored) override;
  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override;
  void NotStarted(const jobs::JobRecord& record, const std::string& why) override;
  void Deleted(const jobs::JobRecord& record) override;

  // prometheus::Collectable: what is read off the jobs at every scrape.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  // A job that has not ended. Moments are the clock's Elapsed.
  struct Live {
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    absl::Duration accepted;
    std::optional<absl::Duration> waiting_since;  // While it waits for cores.
    int attempt = 0;                              // That runs; 0 for none.
    int cores = 0;                                // Given to the attempt.
    JobSeries series;
  };

  // A job that failed.
  struct Failure {
    std::string job;
    std::string reason;
    double time = 0;  // Unix time, seconds.
  };

  void CreateTransitions();
  // The reason as a label.
  std::string ReasonOf(const v1::StateTransition& transition) const;
  void CountTransition(const std::string& job, const v1::StateTransition& transition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The moment, by Elapsed, at which it was `time` by the wall clock; now if that lies ahead.
  absl::Duration MomentOf(const google::protobuf::Timestamp& time) const;
  Live* Open(const jobs::JobRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FollowQueue(const jobs::JobRecord& record, Live* live) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FollowAttempt(const jobs::JobRecord& record, Live* live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectLoad(std::vector<prometheus::MetricFamily>* families) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectFailures(std::vector<prometheus::MetricFamily>* families) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;
  prometheus::Family<prometheus::Counter>& transitions_;
  prometheus::Counter& workers_lost_;
  prometheus::Counter& workers_not_started_;
  prometheus::Histogram& queue_wait_;
  prometheus::Family<prometheus::Histogram>& durations_;
  // Constant after construction.
  std::set<std::string> failure_reasons_;
  std::map<v1::JobState, prometheus::Histogram*> duration_histograms_;

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Live> live_ ABSL_GUARDED_BY(mutex_);
  jobs::JobCounts ended_ ABSL_GUARDED_BY(mutex_);
  std::deque<Failure> failures_ ABSL_GUARDED_BY(mutex_);  // Newest last.
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_JOB_METRICS_H_
