// Shows a server the caller's token, with every call of a channel.
#ifndef ATELIER_CLIENT_CALLS_TOKEN_INTERCEPTOR_H_
#define ATELIER_CLIENT_CALLS_TOKEN_INTERCEPTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/client_interceptor.h"

namespace atelier::client {

// The token in a file (--token-file). INVALID_ARGUMENT with one sentence if the file cannot be read
// or holds anything else.
absl::StatusOr<std::string> ReadToken(const std::string& path);

// OK if a token may be sent to `address`: by TLS or within this machine. INVALID_ARGUMENT
// otherwise.
absl::Status CheckTokenIsSafe(absl::string_view address, bool tls);

// For a channel; none for no token.
std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> ShowToken(
    const std::string& token);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_TOKEN_INTERCEPTOR_H_
