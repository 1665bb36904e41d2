#include "client/calls/server_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

absl::Status NoAddress(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("--server: '", EscapeControls(text), "' ", what, "."));
}

bool IsHostAndPort(absl::string_view address) {
  const auto colon = address.rfind(':');
  int port = 0;
  return colon != absl::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) && port > 0 && port < 65536 &&
         address.find_first_of(" \t\r\n/") == absl::string_view::npos;
}

// The numeric addresses that HOST:PORT leads to, with the port.
struct Numeric {
  std::vector<std::string> v4;
  std::vector<std::string> v6;
};

std::string PortOf(absl::string_view address) {
  return std::string(address.substr(address.rfind(':') + 1));
}

void AddNumeric(absl::string_view address, Numeric* found) {
  const std::string port = PortOf(address);
  const SocketAddresses addresses = Resolve(address);
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> name = {};
    if (getnameinfo(one->ai_addr, one->ai_addrlen, name.data(), name.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    const std::string text = name.data();
    if (one->ai_family == AF_INET) found->v4.push_back(absl::StrCat(text, ":", port));
    if (one->ai_family == AF_INET6 && !absl::StrContains(text, '%')) {
      found->v6.push_back(absl::StrCat("[", text, "]:", port));
    }
  }
}

}  // namespace

std::string HostOf(absl::string_view address) {
  absl::string_view host = address.substr(0, address.rfind(':'));
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

SocketAddresses Resolve(absl::string_view address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(HostOf(address).c_str(), PortOf(address).c_str(), &hints, &found);
  return {error == 0 ? found : nullptr, freeaddrinfo};
}

bool ServerAddresses::balanced() const {
  return all.size() > 1 || absl::StartsWith(all.front(), "dns:");
}

absl::StatusOr<ServerAddresses> ServerAddresses::Parse(absl::string_view text) {
  ServerAddresses addresses;
  if (absl::StartsWith(text, "unix:") && text.size() > 5) {
    addresses.all.emplace_back(text);
    return addresses;
  }
  for (const absl::string_view address : absl::StrSplit(text, ',')) {
    absl::string_view plain = address;
    const bool special = absl::ConsumePrefix(&plain, "dns:") || absl::StartsWith(plain, "unix:");
    if (special && absl::StrContains(text, ',')) {
      return NoAddress(address, "cannot be one of several addresses, which are HOST:PORT each");
    }
    if (!IsHostAndPort(plain)) {
      return NoAddress(address,
                       "is not an address; write HOST:PORT, several with commas between "
                       "them, or unix:PATH");
    }
    addresses.all.emplace_back(address);
  }
  return addresses;
}

absl::StatusOr<std::string> TargetOf(const ServerAddresses& addresses) {
  if (addresses.all.size() == 1) return addresses.all.front();
  Numeric found;
  for (const std::string& address : addresses.all) AddNumeric(address, &found);
  if (found.v6.empty() && !found.v4.empty()) {
    return absl::StrCat("ipv4:", absl::StrJoin(found.v4, ","));
  }
  // One list has addresses of one kind.
  for (const std::string& address : found.v4) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(address, ':');
    found.v6.push_back(absl::StrCat("[::ffff:", parts.first, "]:", parts.second));
  }
  if (!found.v6.empty()) return absl::StrCat("ipv6:", absl::StrJoin(found.v6, ","));
  return absl::UnavailableError(
      absl::StrCat("None of the names in ", EscapeControls(absl::StrJoin(addresses.all, ",")),
                   " could be resolved. Check --server or ATELIER_SERVER."));
}

std::string BalancingConfig() {
  return R"({
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "atelier.v1.InferenceService"},
    "methodConfig": [{
      "name": [{"service": "atelier.v1.InferenceService"},
               {"service": "atelier.v1.ModelService", "method": "ListModels"},
               {"service": "atelier.v1.ModelService", "method": "GetModel"},
               {"service": "atelier.v1.DatasetService", "method": "GetDataset"},
               {"service": "atelier.v1.DatasetService", "method": "GetImages"},
               {"service": "atelier.v1.MonitoringService"}],
      "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.05s", "maxBackoff": "1s",
                      "backoffMultiplier": 3, "retryableStatusCodes": ["UNAVAILABLE"]}
    }]
  })";
}

}  // namespace atelier::client
