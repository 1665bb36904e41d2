// Posts to the web that tell of ended jobs.
#ifndef ATELIER_SERVER_METRICS_WEBHOOK_METRICS_H_
#define ATELIER_SERVER_METRICS_WEBHOOK_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/registry.h"
#include "server/webhooks/webhook_observer.h"

namespace atelier::metrics {

// Thread-safe.
class WebhookMetrics final : public webhooks::WebhookObserver {
 public:
  // `registry` must outlive it.
  explicit WebhookMetrics(prometheus::Registry* registry);

  void Posted(webhooks::PostResult result) override;

 private:
  prometheus::Family<prometheus::Counter>& posts_;
  prometheus::Counter& delivered_;
  prometheus::Counter& postponed_;
  prometheus::Counter& given_up_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_WEBHOOK_METRICS_H_
