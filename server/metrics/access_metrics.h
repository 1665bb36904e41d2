// Callers that were refused, as metrics.
#ifndef ATELIER_SERVER_METRICS_ACCESS_METRICS_H_
#define ATELIER_SERVER_METRICS_ACCESS_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "server/access/access_observer.h"

namespace atelier::metrics {

// Thread-safe.
class AccessMetrics final : public access::AccessObserver {
 public:
  // `registry` must outlive it.
  explicit AccessMetrics(prometheus::Registry* registry);

  void Refused(absl::string_view reason) override;
  void FileRead(bool usable) override;
  void AuditEntriesLost(std::size_t count) override;

 private:
  prometheus::Family<prometheus::Counter>& refused_;
  prometheus::Gauge& unusable_;
  prometheus::Counter& lost_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_ACCESS_METRICS_H_
