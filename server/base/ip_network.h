// A network of IP addresses. A value; thread-safe.
#ifndef ATELIER_SERVER_BASE_IP_NETWORK_H_
#define ATELIER_SERVER_BASE_IP_NETWORK_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier {

class IpNetwork {
 public:
  // Reads `10.0.0.0/8` or `fd00::/8`. INVALID_ARGUMENT with what is wrong.
  static absl::StatusOr<IpNetwork> Parse(absl::string_view text);

  // Whether it is an address of the network's family within it.
  bool Contains(const sockaddr& address) const;

  // An address of this machine within it, as text. NOT_FOUND if there is none.
  absl::StatusOr<std::string> OwnAddress() const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;

  // Length in bytes of an address of a family.
  static int BytesOf(int family);

  std::string text_;
  int family_ = 0;
  int prefix_ = 0;  // In bits.
  Bytes bytes_ = {};
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_IP_NETWORK_H_
