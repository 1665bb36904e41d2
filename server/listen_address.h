// An address to listen on, as a flag gives it. Values; thread-safe.
#ifndef ATELIER_SERVER_LISTEN_ADDRESS_H_
#define ATELIER_SERVER_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::server {

struct ListenAddress {
  std::string socket;  // Path of a Unix socket; empty for TCP.
  std::string host;    // For TCP: a name or an IP address, IPv6 in brackets.
  int port = 0;        // For TCP.

  // Reads `HOST:PORT` or `unix:PATH`, an absolute path. `localhost` becomes 127.0.0.1, so that it
  // is one address. INVALID_ARGUMENT with what is wrong, without the flag's name.
  static absl::StatusOr<ListenAddress> Parse(absl::string_view text);

  // As Parse takes it.
  std::string ToString() const;

  // True for a Unix socket and for addresses that only this machine reaches.
  bool IsLocal() const;
};

}  // namespace atelier::server

#endif  // ATELIER_SERVER_LISTEN_ADDRESS_H_
