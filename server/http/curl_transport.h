// HTTP and HTTPS by libcurl. Certificates are checked, redirections are not followed.
#ifndef ATELIER_SERVER_HTTP_CURL_TRANSPORT_H_
#define ATELIER_SERVER_HTTP_CURL_TRANSPORT_H_

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/mutex.h"
#include "server/http/http_transport.h"

struct sockaddr;

namespace atelier::http {

// Keeps connections for the next request to the same server.
class CurlTransport final : public Transport {
 public:
  struct Options {
    long timeout_ms = 0;  // Of a request from its beginning; 0: no limit.
    long connect_timeout_ms = 10'000;
    long stall_seconds = 30;       // Below 1 KiB/s for so long ends a request; 0: never.
    bool proxies = false;          // Uses those that the environment names (https_proxy, …).
    std::string authorities = {};  // File of CAs in place of the system's; empty: the system's.
    // Which addresses may be connected to; all if it is empty.
    std::function<bool(const sockaddr&)> allowed = nullptr;
  };

  explicit CurlTransport(Options options);
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  absl::StatusOr<Answer> Perform(const Request& request) override;
  void Stop() override { stopped_ = true; }

 private:
  struct Transfer;

  // A handle of libcurl's, idle or new; null if there is no memory.
  void* Borrow();
  void Return(void* handle);

  const Options options_;
  std::atomic<bool> stopped_ = false;
  Mutex mutex_;
  std::vector<void*> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::http

#endif  // ATELIER_SERVER_HTTP_CURL_TRANSPORT_H_
