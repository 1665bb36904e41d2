// How a registry is published, and how serving replicas follow it.
#ifndef ATELIER_SERVER_METRICS_REGISTRY_METRICS_H_
#define ATELIER_SERVER_METRICS_REGISTRY_METRICS_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "server/registry/registry_observer.h"

namespace atelier::metrics {

// Thread-safe.
class RegistryMetrics final : public registry::RegistryObserver {
 public:
  // `registry` must outlive it.
  explicit RegistryMetrics(prometheus::Registry* registry);

  void Published(bool ok) override { (ok ? published_ : failed_).Increment(); }
  void Followed(std::int64_t versions) override { versions_.Set(static_cast<double>(versions)); }
  void Unreadable(std::optional<absl::Time> since) override;

 private:
  prometheus::Family<prometheus::Counter>& publications_;
  prometheus::Counter& published_;
  prometheus::Counter& failed_;
  prometheus::Gauge& versions_;
  prometheus::Gauge& unreadable_since_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_REGISTRY_METRICS_H_
