// What an engine such as Slurm or Kubernetes does with the workers that it was asked for.
#ifndef ATELIER_SERVER_METRICS_ENGINE_METRICS_H_
#define ATELIER_SERVER_METRICS_ENGINE_METRICS_H_

#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "server/base/mutex.h"
#include "server/remote/engine_observer.h"

namespace atelier::metrics {

// Thread-safe; its lock is a leaf. Shows nothing until there is an engine. There are at most as
// many series as launches.
class EngineMetrics final : public remote::EngineObserver, public prometheus::Collectable {
 public:
  void Asked(const remote::EngineLoad& load) override;
  void Silent(std::optional<absl::Time> since) override;

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  mutable Mutex mutex_;
  std::optional<remote::EngineLoad> load_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> silent_since_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_ENGINE_METRICS_H_
