// What is counted of webhooks: the seam to the metrics.
#ifndef ATELIER_SERVER_WEBHOOKS_WEBHOOK_OBSERVER_H_
#define ATELIER_SERVER_WEBHOOKS_WEBHOOK_OBSERVER_H_

namespace atelier::webhooks {

enum class PostResult {
  kDelivered,
  kPostponed,  // Failed, and tried again later.
  kGivenUp,    // Failed, and not tried again.
};

// Thread-safe.
class WebhookObserver {
 public:
  virtual ~WebhookObserver() = default;
  virtual void Posted(PostResult result) = 0;
};

}  // namespace atelier::webhooks

#endif  // ATELIER_SERVER_WEBHOOKS_WEBHOOK_OBSERVER_H_
