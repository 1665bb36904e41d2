// Counts classification per version of a model. Counters and histograms belong to the server: they
// stay when a version leaves memory, and go on when it comes back. Gauges belong to the version in
// memory.
//
// Series are bounded. Once `max_versions` versions have some, a new one takes the place of the one
// that left memory first, if that was `retention` ago: long enough that every scraper has seen the
// end of its series, which therefore takes nothing from sums of rates. If there is no such one, the
// new version is counted with the labels model="_other" and version="_other" instead, which stay.
#ifndef ATELIER_SERVER_METRICS_SERVING_METRICS_H_
#define ATELIER_SERVER_METRICS_SERVING_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "prometheus/registry.h"
#include "server/base/clock.h"
#include "server/serving/serving_observer.h"

namespace atelier::metrics {

// Thread-safe. What it hands out may outlive it, but neither the registry nor the clock.
class ServingMetrics final : public serving::ServingObserver {
 public:
  struct Options {
    // Versions that have counters of their own; at least as many as may be in memory.
    std::size_t max_versions = 50;
    // Longer than any scrape interval, and than Prometheus takes a series for alive.
    absl::Duration retention = absl::Hours(1);
  };

  ServingMetrics(const Options& options, const Clock* clock, prometheus::Registry* registry);
  ~ServingMetrics() override;

  std::shared_ptr<serving::VersionObserver> Observe(const std::string& model,
                                                    std::int64_t version) override;
  void Swapped(const std::string& model) override;

 private:
  class Versions;
  const std::shared_ptr<Versions> versions_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_SERVING_METRICS_H_
