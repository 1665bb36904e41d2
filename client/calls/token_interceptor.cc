#include "client/calls/token_interceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"
#include "grpcpp/support/interceptor.h"
#include "models/files/durable_file.h"
#include "proto/access/token.h"

namespace atelier::client {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr std::int64_t kMaxTokenFile = 4096;

class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  // `header` must outlive it.
  explicit TokenInterceptor(const std::string* header) : header_(header) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", *header_);
    }
    methods->Proceed();
  }

 private:
  const std::string* const header_;
};

class TokenInterceptorFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(const std::string& token)
      : header_(absl::StrCat("Bearer ", token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(ClientRpcInfo* /*info*/) override {
    return new TokenInterceptor(&header_);
  }

 private:
  const std::string header_;
};

bool IsThisMachine(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const absl::string_view host = address.substr(0, address.rfind(':'));
  in_addr v4;
  if (inet_pton(AF_INET, std::string(host).c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return absl::EqualsIgnoreCase(host, "localhost") || host == "[::1]";
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const auto text = models::ReadWholeFile(path, kMaxTokenFile);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--token-file: ", EscapeControls(absl::StripSuffix(text.status().message(), ".")), "."));
  }
  const absl::string_view token = absl::StripAsciiWhitespace(*text);
  if (!access::TokenId(token).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--token-file: ", EscapeControls(path),
                     " holds no token, which begins with atelier_; `atelier admin token add` "
                     "prints one."));
  }
  return std::string(token);
}

absl::Status CheckTokenIsSafe(absl::string_view address, bool tls) {
  if (tls || IsThisMachine(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--token-file: the token would travel to ", EscapeControls(address),
                   " in plain text; give --tls-ca, the CA of a server that uses TLS."));
}

std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> ShowToken(
    const std::string& token) {
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  if (!token.empty()) interceptors.push_back(std::make_unique<TokenInterceptorFactory>(token));
  return interceptors;
}

}  // namespace atelier::client
