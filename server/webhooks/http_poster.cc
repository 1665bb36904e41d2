#include "server/webhooks/http_poster.h"

#include "absl/strings/str_cat.h"
#include "server/webhooks/address_rules.h"

namespace atelier::webhooks {
namespace {

constexpr long kGone = 410;

http::CurlTransport::Options TransportOptions(const CurlPoster::Options& options) {
  http::CurlTransport::Options transport;
  transport.timeout_ms = options.timeout_ms;
  if (!options.private_addresses) transport.allowed = &IsPublic;
  return transport;
}

}  // namespace

CurlPoster::CurlPoster(const Options& options) : transport_(TransportOptions(options)) {}

absl::Status CurlPoster::Post(const HttpPost& post) {
  http::Request request;
  request.method = "POST";
  request.url = post.url;
  request.headers = post.headers;
  request.body = post.body;
  const auto answer = transport_.Perform(request);
  if (absl::IsPermissionDenied(answer.status())) {
    return absl::UnavailableError(
        "the host's address is private or of this machine, to which --notify_private_addresses "
        "allows to post");
  }
  if (!answer.ok()) return answer.status();
  if (answer->status >= 200 && answer->status < 300) return absl::OkStatus();
  if (answer->status == kGone) {
    return absl::NotFoundError("the receiver answered 410, which ends it");
  }
  if (!answer->ended.ok()) return answer->ended;
  return absl::UnavailableError(absl::StrCat("the receiver answered ", answer->status));
}

}  // namespace atelier::webhooks
