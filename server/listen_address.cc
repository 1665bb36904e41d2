#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::server {
namespace {

// One less than the array: the path ends with a zero.
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

absl::StatusOr<ListenAddress> ParseSocket(absl::string_view path) {
  if (!absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the socket's path '", path, "' must be absolute, such as unix:/run/a.sock"));
  }
  if (path.size() > kMaxSocketPath) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path '", path, "' has ",
                                                   path.size(), " bytes, but the system takes ",
                                                   kMaxSocketPath, " at most"));
  }
  ListenAddress address;
  address.socket = std::string(path);
  return address;
}

}  // namespace

absl::StatusOr<ListenAddress> ListenAddress::Parse(absl::string_view text) {
  absl::string_view path = text;
  if (absl::ConsumePrefix(&path, "unix:")) return ParseSocket(path);
  const std::size_t colon = text.rfind(':');
  const absl::string_view host = text.substr(0, colon);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  const bool host_ok = !host.empty() && (bracketed || !absl::StrContains(host, ':'));
  ListenAddress address;
  if (colon == absl::string_view::npos || !host_ok ||
      !absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not an address; write HOST:PORT, such as 127.0.0.1:50051"));
  }
  address.host = absl::EqualsIgnoreCase(host, "localhost") ? "127.0.0.1" : std::string(host);
  return address;
}

std::string ListenAddress::ToString() const {
  return socket.empty() ? absl::StrCat(host, ":", port) : absl::StrCat("unix:", socket);
}

bool ListenAddress::IsLocal() const {
  if (!socket.empty()) return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  absl::string_view bare = host;
  if (!absl::ConsumePrefix(&bare, "[") || !absl::ConsumeSuffix(&bare, "]")) return false;
  in6_addr v6;
  return inet_pton(AF_INET6, std::string(bare).c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace atelier::server
