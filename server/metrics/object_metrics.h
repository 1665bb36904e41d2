// What is moved to an object store and back.
#ifndef ATELIER_SERVER_METRICS_OBJECT_METRICS_H_
#define ATELIER_SERVER_METRICS_OBJECT_METRICS_H_

#include <cstdint>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "server/objects/object_observer.h"

namespace atelier::metrics {

// Thread-safe.
class ObjectMetrics final : public objects::ObjectObserver {
 public:
  // `registry` must outlive it.
  explicit ObjectMetrics(prometheus::Registry* registry);

  void Worked(objects::ObjectWork work, bool ok, std::int64_t bytes) override;
  void Pending(std::int64_t objects, std::int64_t bytes) override;
  void Cached(std::int64_t bytes) override { cached_.Set(static_cast<double>(bytes)); }

 private:
  struct Kind {
    prometheus::Counter& worked;
    prometheus::Counter& failed;
  };
  Kind& KindOf(objects::ObjectWork work);

  prometheus::Family<prometheus::Counter>& operations_;
  prometheus::Family<prometheus::Counter>& bytes_;
  Kind uploads_;
  Kind fetches_;
  Kind removals_;
  prometheus::Counter& uploaded_bytes_;
  prometheus::Counter& fetched_bytes_;
  prometheus::Gauge& pending_;
  prometheus::Gauge& pending_bytes_;
  prometheus::Gauge& cached_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_OBJECT_METRICS_H_
