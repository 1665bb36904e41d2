#include "server/webhooks/webhook_sender.h"

#include <google/protobuf/util/json_util.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/jobs/job_state.h"

namespace atelier::webhooks {
namespace {

constexpr int kAtOnce = 16;
constexpr absl::Duration kAfterStoreFailure = absl::Seconds(10);

// A URL may hold a secret behind its host.
absl::string_view HostOf(absl::string_view url) {
  const std::size_t begin = url.find("://") + 3;
  const absl::string_view rest = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const std::size_t user = rest.rfind('@');
  return user == absl::string_view::npos ? rest : rest.substr(user + 1);
}

std::string JsonOf(const v1::TrainingJob& job) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for Any and broken well-known types alone, which a job has not.
  static_cast<void>(google::protobuf::util::MessageToJsonString(job, &json, options));
  return json;
}

}  // namespace

absl::Duration PauseAfter(int tries) {
  constexpr std::array kPauses = {absl::Seconds(10), absl::Minutes(1), absl::Minutes(5),
                                  absl::Minutes(30), absl::Hours(2),   absl::Hours(6),
                                  absl::Hours(12),   absl::Hours(24)};
  const auto index = static_cast<std::size_t>(tries - 1);
  return index < kPauses.size() ? kPauses[index] : absl::InfiniteDuration();
}

std::string SignatureOf(const std::string& secret, const std::string& id,
                        const std::string& timestamp, const std::string& body) {
  const std::string content = absl::StrCat(id, ".", timestamp, ".", body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest.data(),
       &size);
  return absl::StrCat("v1,", absl::Base64Escape(absl::string_view(
                                 reinterpret_cast<const char*>(digest.data()), size)));
}

void WebhookSender::SetKick(std::function<void()> kick) {
  MutexLock lock(&mutex_);
  kick_ = std::move(kick);
}

void WebhookSender::Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) {
  if (events.empty() || !jobs::IsTerminal(record.job.state())) return;
  MutexLock lock(&mutex_);
  if (kick_) kick_();
}

HttpPost WebhookSender::Message(const jobs::Notice& notice) const {
  HttpPost post;
  post.url = notice.url;
  post.body = JsonOf(notice.job);
  const std::string id = absl::StrCat("notice-", notice.key);
  const std::string timestamp = absl::StrCat(absl::ToUnixSeconds(with_.clock->Now()));
  post.headers = {"Content-Type: application/json", absl::StrCat("webhook-id: ", id),
                  absl::StrCat("webhook-timestamp: ", timestamp)};
  if (!options_.secret.empty()) {
    post.headers.push_back(absl::StrCat("webhook-signature: ",
                                        SignatureOf(options_.secret, id, timestamp, post.body)));
  }
  return post;
}

bool WebhookSender::Deliver(const jobs::Notice& notice) {
  const absl::Status posted = with_.poster->Post(Message(notice));
  if (absl::IsCancelled(posted)) return false;  // For the next server.
  const absl::Duration pause =
      absl::IsNotFound(posted) ? absl::InfiniteDuration() : PauseAfter(notice.tries + 1);
  const bool last = posted.ok() || pause == absl::InfiniteDuration();
  const absl::Status stored =
      last ? with_.store->RemoveNotice(notice.key)
           : with_.store->PostponeNotice(notice.key, with_.clock->Now() + pause);
  with_.observer->Posted(posted.ok() ? PostResult::kDelivered
                         : last      ? PostResult::kGivenUp
                                     : PostResult::kPostponed);
  if (!posted.ok()) {
    options_.log(absl::StrCat("The end of ", notice.job.name(), " was not told to ",
                              HostOf(notice.url), ": ", posted.message(),
                              last ? "; it is given up." : "; the next try is in ",
                              last ? "" : absl::StrCat(absl::FormatDuration(pause), ".")));
  }
  if (!stored.ok()) options_.log(std::string(stored.message()));
  return stored.ok();
}

absl::Duration WebhookSender::Tick() {
  const auto due = with_.store->DueNotices(with_.clock->Now(), kAtOnce);
  if (!due.ok()) return kAfterStoreFailure;
  for (const jobs::Notice& notice : *due) {
    if (!Deliver(notice)) return kAfterStoreFailure;
  }
  const auto next = with_.store->NextNoticeDue();
  if (!next.ok()) return kAfterStoreFailure;
  return std::max(absl::ZeroDuration(), *next - with_.clock->Now());
}

}  // namespace atelier::webhooks
