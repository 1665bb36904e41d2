// The API server over HTTP.
#ifndef ATELIER_SERVER_KUBERNETES_HTTP_API_H_
#define ATELIER_SERVER_KUBERNETES_HTTP_API_H_

#include <string>

#include "server/http/curl_transport.h"
#include "server/kubernetes/api.h"
#include "server/kubernetes/kubernetes_options.h"

namespace atelier::kubernetes {

// A call ends after 15 seconds, its answer has at most 64 MiB. The token's file is read for every
// call, since Kubernetes replaces it before the token expires.
class HttpApi final : public Api {
 public:
  explicit HttpApi(ApiAddress address);

  absl::StatusOr<nlohmann::json> Call(absl::string_view method, const std::string& path,
                                      const nlohmann::json& body) override;
  absl::Status Watch(const std::string& path,
                     absl::FunctionRef<bool(absl::string_view)> line) override;
  void Stop() override;

 private:
  // Fills in address and token, and sends it. UNAVAILABLE if no whole answer came.
  absl::StatusOr<http::Answer> Send(http::CurlTransport& transport, const std::string& path,
                                    http::Request request) const;

  const ApiAddress address_;
  http::CurlTransport calls_;
  http::CurlTransport watches_;
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_HTTP_API_H_
