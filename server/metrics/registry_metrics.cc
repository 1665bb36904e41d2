#include "server/metrics/registry_metrics.h"

#include "server/metrics/plain_gauge.h"

namespace atelier::metrics {

RegistryMetrics::RegistryMetrics(prometheus::Registry* registry)
    : publications_(prometheus::BuildCounter()
                        .Name("atelier_registry_publications_total")
                        .Help("Tries to publish the registry for serving replicas.")
                        .Register(*registry)),
      published_(publications_.Add({{"result", "done"}})),
      failed_(publications_.Add({{"result", "failed"}})),
      versions_(AddGauge(registry, "atelier_replica_versions",
                         "Versions in the registry that a serving replica follows.")),
      unreadable_since_(
          AddGauge(registry, "atelier_replica_registry_unreadable_since_timestamp_seconds",
                   "Since when a serving replica cannot read its registry; 0 while it can.")) {}

void RegistryMetrics::Unreadable(std::optional<absl::Time> since) {
  unreadable_since_.Set(since.has_value() ? absl::ToDoubleSeconds(*since - absl::UnixEpoch()) : 0);
}

}  // namespace atelier::metrics
