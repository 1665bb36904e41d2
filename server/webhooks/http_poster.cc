#include "server/webhooks/http_poster.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/webhooks/address_rules.h"

namespace atelier::webhooks {
namespace {

constexpr long kGone = 410;
constexpr std::size_t kMaxAnswerBytes = 64 << 10;

// Once for the process; libcurl wants it before threads use it.
void InitializeCurl() {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);
}

}  // namespace

// One post, from its handle to its end.
struct CurlPoster::Transfer {
  explicit Transfer(const CurlPoster* poster) : owner(poster), handle(curl_easy_init()) {}
  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  static curl_socket_t OpenSocket(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
    auto* const transfer = static_cast<Transfer*>(self);
    if (!transfer->owner->options_.private_addresses && !IsPublic(address->addr)) {
      transfer->refused = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  // Less than what came ends the transfer.
  static std::size_t Discard(const char* /*data*/, std::size_t size, std::size_t count,
                             void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    transfer->received += size * count;
    return transfer->received <= kMaxAnswerBytes ? size * count : 0;
  }

  // Anything but 0 ends the transfer.
  static int Watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->owner->stopped_ ? 1 : 0;
  }

  void Prepare(const HttpPost& post) {
    for (const std::string& header : post.headers) {
      headers = curl_slist_append(headers, header.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_URL, post.url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(post.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, post.body.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "atelierd");
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, owner->options_.timeout_ms);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OpenSocket);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, this);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::Discard);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &Transfer::Watch);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  }

  const CurlPoster* const owner;
  CURL* const handle;
  curl_slist* headers = nullptr;
  std::size_t received = 0;
  bool refused = false;
};

CurlPoster::CurlPoster(Options options) : options_(options) { InitializeCurl(); }

CurlPoster::~CurlPoster() = default;

absl::Status CurlPoster::Post(const HttpPost& post) {
  Transfer transfer(this);
  if (transfer.handle == nullptr) return absl::UnavailableError("there is no memory for it");
  transfer.Prepare(post);
  const CURLcode code = curl_easy_perform(transfer.handle);
  if (stopped_) return absl::CancelledError("the server is stopping");
  if (transfer.refused && code != CURLE_OK) {
    return absl::UnavailableError(
        "the host's address is private or of this machine, to which --notify_private_addresses "
        "allows to post");
  }
  long answer = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &answer);
  if (answer >= 200 && answer < 300) return absl::OkStatus();
  if (answer == kGone) return absl::NotFoundError("the receiver answered 410, which ends it");
  if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(code));
  return absl::UnavailableError(absl::StrCat("the receiver answered ", answer));
}

}  // namespace atelier::webhooks
