// The addresses of --server: one, or several servers among which calls are balanced. Thread-safe:
// free functions and values.
#ifndef ATELIER_CLIENT_CALLS_SERVER_ADDRESSES_H_
#define ATELIER_CLIENT_CALLS_SERVER_ADDRESSES_H_

#include <netdb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::client {

// The host of HOST:PORT, without the brackets of [::1].
std::string HostOf(absl::string_view address);

// Where HOST:PORT leads, as the system resolves it; null if nowhere.
using SocketAddresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;
SocketAddresses Resolve(absl::string_view address);

struct ServerAddresses {
  std::vector<std::string> all;  // HOST:PORT, or one that is unix:PATH or dns:HOST:PORT.

  // Whether there may be several servers: several addresses, or all that a name leads to.
  bool balanced() const;

  // HOST:PORT,…; dns:HOST:PORT; or unix:PATH. INVALID_ARGUMENT with a sentence for anything else.
  static absl::StatusOr<ServerAddresses> Parse(absl::string_view text);
};

// What gRPC dials: names of several addresses are resolved here, once. UNAVAILABLE with a sentence
// if none of them leads anywhere.
absl::StatusOr<std::string> TargetOf(const ServerAddresses& addresses);

// gRPC's service config for several servers: calls go to one after the other of those that are
// healthy, and what changes nothing is repeated elsewhere if its connection breaks.
std::string BalancingConfig();

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_SERVER_ADDRESSES_H_
