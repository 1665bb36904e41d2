#include "server/metrics/engine_metrics.h"

#include <utility>

#include "server/metrics/samples.h"

namespace atelier::metrics {

void EngineMetrics::Asked(const remote::EngineLoad& load) {
  MutexLock lock(&mutex_);
  load_ = load;
}

void EngineMetrics::Silent(std::optional<absl::Time> since) {
  MutexLock lock(&mutex_);
  silent_since_ = since;
}

std::vector<prometheus::MetricFamily> EngineMetrics::Collect() const {
  MutexLock lock(&mutex_);
  std::vector<prometheus::MetricFamily> families;
  if (!load_.has_value()) return families;
  auto running = Samples::Gauge("atelier_engine_running", "Workers that the engine runs, by node.");
  for (const auto& [node, count] : load_->running) running.Add(count, {{"node", node}});
  std::move(running).MoveTo(&families);
  auto pending = Samples::Gauge("atelier_engine_pending",
                                "Workers that wait in the engine, by its word for why.");
  for (const auto& [reason, count] : load_->pending) pending.Add(count, {{"reason", reason}});
  std::move(pending).MoveTo(&families);
  auto silent = Samples::Gauge("atelier_engine_silent_since_timestamp_seconds",
                               "Since when the engine does not answer; 0 while it does.");
  silent.Add(silent_since_.has_value() ? absl::ToDoubleSeconds(*silent_since_ - absl::UnixEpoch())
                                       : 0);
  std::move(silent).MoveTo(&families);
  return families;
}

}  // namespace atelier::metrics
