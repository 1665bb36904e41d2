#include "server/metrics/webhook_metrics.h"

namespace atelier::metrics {

WebhookMetrics::WebhookMetrics(prometheus::Registry* registry)
    : posts_(prometheus::BuildCounter()
                 .Name("atelier_webhook_posts_total")
                 .Help("Posts that tell of ended jobs.")
                 .Register(*registry)),
      delivered_(posts_.Add({{"result", "delivered"}})),
      postponed_(posts_.Add({{"result", "postponed"}})),
      given_up_(posts_.Add({{"result", "given_up"}})) {}

void WebhookMetrics::Posted(webhooks::PostResult result) {
  switch (result) {
    case webhooks::PostResult::kDelivered:
      return delivered_.Increment();
    case webhooks::PostResult::kPostponed:
      return postponed_.Increment();
    case webhooks::PostResult::kGivenUp:
      return given_up_.Increment();
  }
}

}  // namespace atelier::metrics
