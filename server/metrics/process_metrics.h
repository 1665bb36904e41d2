// The server process itself: the metrics that every Prometheus client library calls process_*.
#ifndef ATELIER_SERVER_METRICS_PROCESS_METRICS_H_
#define ATELIER_SERVER_METRICS_PROCESS_METRICS_H_

#include <optional>
#include <vector>

#include "prometheus/collectable.h"

namespace atelier::metrics {

// Thread-safe. What the system does not tell is left out.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  ProcessMetrics();
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  // Told once, so that it stays when the clock is set.
  const std::optional<double> start_time_;  // Unix time, seconds.
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_PROCESS_METRICS_H_
