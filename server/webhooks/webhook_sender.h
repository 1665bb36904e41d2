// Tells who wants to know that a job has ended: posts the job as JSON to the stored notices' URLs,
// again after growing pauses where that fails. A notice is delivered at least once: after a crash
// between the receiver's answer and its removal it is posted again, with the same id.
//
// Signed as the Standard Webhooks specification 1.0 has it: header webhook-signature is `v1,` and
// the base64 of HMAC-SHA256(secret, webhook-id "." webhook-timestamp "." body), where the
// secret's bytes are the key as they are.
#ifndef ATELIER_SERVER_WEBHOOKS_WEBHOOK_SENDER_H_
#define ATELIER_SERVER_WEBHOOKS_WEBHOOK_SENDER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/notice_store.h"
#include "server/webhooks/http_poster.h"
#include "server/webhooks/webhook_observer.h"

namespace atelier::webhooks {

// Thread-safe; Tick by one thread.
class WebhookSender final : public jobs::JobObserver {
 public:
  struct Options {
    std::string secret;                           // Empty: notices are not signed.
    std::function<void(const std::string&)> log;  // Told a sentence for each failure; required.
  };
  // All must outlive it.
  struct Dependencies {
    const Clock* clock = nullptr;
    jobs::NoticeStore* store = nullptr;
    HttpPoster* poster = nullptr;
    WebhookObserver* observer = nullptr;
  };

  WebhookSender(Options options, Dependencies with) : options_(std::move(options)), with_(with) {}

  // What calls Tick soon; it never waits. None before.
  void SetKick(std::function<void()> kick);

  // Posts the notices that are due, a few at most; says how long until it has to be called again.
  absl::Duration Tick();

  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override;

 private:
  // False if the database failed or posts are cancelled.
  bool Deliver(const jobs::Notice& notice);
  HttpPost Message(const jobs::Notice& notice) const;

  const Options options_;
  const Dependencies with_;
  Mutex mutex_;
  std::function<void()> kick_ ABSL_GUARDED_BY(mutex_);
};

// How long a notice waits after so many failed deliveries, from 1 on; InfiniteDuration if it is
// given up.
absl::Duration PauseAfter(int tries);

// As the header has it.
std::string SignatureOf(const std::string& secret, const std::string& id,
                        const std::string& timestamp, const std::string& body);

}  // namespace atelier::webhooks

#endif  // ATELIER_SERVER_WEBHOOKS_WEBHOOK_SENDER_H_
