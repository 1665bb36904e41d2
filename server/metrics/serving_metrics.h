// Counts classification per version of a model, for as long as the version is in memory.
#ifndef ATELIER_SERVER_METRICS_SERVING_METRICS_H_
#define ATELIER_SERVER_METRICS_SERVING_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "prometheus/registry.h"
#include "server/serving/serving_observer.h"

namespace atelier::metrics {

// Thread-safe. What it hands out may outlive it, but not the registry.
class ServingMetrics final : public serving::ServingObserver {
 public:
  explicit ServingMetrics(prometheus::Registry* registry);
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
