// The API server by libcurl, over TLS.
#ifndef ATELIER_SERVER_KUBERNETES_CURL_API_H_
#define ATELIER_SERVER_KUBERNETES_CURL_API_H_

#include <atomic>
#include <string>

#include "server/kubernetes/api.h"
#include "server/kubernetes/kubernetes_options.h"

namespace atelier::kubernetes {

// Certificates are checked, redirections are not followed, proxies are not used. A call ends after
// 15 seconds, its answer has at most 64 MiB. The token's file is read for every call, since
// Kubernetes replaces it before the token expires.
class CurlApi final : public Api {
 public:
  explicit CurlApi(ApiAddress address);

  absl::StatusOr<nlohmann::json> Call(absl::string_view method, const std::string& path,
                                      const nlohmann::json& body) override;
  absl::Status Watch(const std::string& path,
                     absl::FunctionRef<bool(absl::string_view)> line) override;
  void Stop() override { stopped_ = true; }

 private:
  struct Transfer;

  // The code of the answer. UNAVAILABLE if there was none.
  absl::StatusOr<long> Perform(Transfer& transfer, absl::string_view method,
                               const std::string& path) const;

  const ApiAddress address_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_CURL_API_H_
