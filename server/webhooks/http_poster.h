// Posts to the web.
#ifndef ATELIER_SERVER_WEBHOOKS_HTTP_POSTER_H_
#define ATELIER_SERVER_WEBHOOKS_HTTP_POSTER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/http/curl_transport.h"

namespace atelier::webhooks {

struct HttpPost {
  std::string url;
  std::vector<std::string> headers;  // `Name: value` each.
  std::string body;
};

class HttpPoster {
 public:
  virtual ~HttpPoster() = default;

  // OK once the receiver answered with 200 to 299. NOT_FOUND if it answered 410, that it wants no
  // more; CANCELLED when stopped; UNAVAILABLE with a sentence's end for any other answer and if
  // there was none.
  virtual absl::Status Post(const HttpPost& post) = 0;
};

// Over HTTP or HTTPS; certificates are checked, redirections are not followed, proxies are not
// used, answers are not read. One thread posts; any may call Stop.
class CurlPoster final : public HttpPoster {
 public:
  struct Options {
    bool private_addresses = false;  // Posts to addresses that are not IsPublic, too.
    long timeout_ms = 10'000;        // Of a post from its beginning.
  };

  explicit CurlPoster(const Options& options);

  absl::Status Post(const HttpPost& post) override;
  // A post that is under way ends soon, later ones at once.
  void Stop() { transport_.Stop(); }

 private:
  http::CurlTransport transport_;
};

}  // namespace atelier::webhooks

#endif  // ATELIER_SERVER_WEBHOOKS_HTTP_POSTER_H_
