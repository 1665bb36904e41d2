// The server process itself: the metrics that every Prometheus client library calls process_*, and
// what became of its log.
#ifndef ATELIER_SERVER_METRICS_PROCESS_METRICS_H_
#define ATELIER_SERVER_METRICS_PROCESS_METRICS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "prometheus/collectable.h"

namespace atelier::metrics {

// Thread-safe. What the system does not tell is left out.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  // `dropped_log_lines` since the start; may be empty.
  explicit ProcessMetrics(std::function<std::uint64_t()> dropped_log_lines = {});
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::function<std::uint64_t()> dropped_log_lines_;
  // Told once, so that it stays when the clock is set.
  const std::optional<double> start_time_;  // Unix time, seconds.
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_PROCESS_METRICS_H_
