#include "server/base/ip_network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace atelier {
namespace {

// Of an IPv4 or IPv6 address.
const void* BytesIn(const sockaddr& address) {
  if (address.sa_family == AF_INET) return &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  return &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
}

}  // namespace

int IpNetwork::BytesOf(int family) { return family == AF_INET ? 4 : 16; }

absl::StatusOr<IpNetwork> IpNetwork::Parse(absl::string_view text) {
  IpNetwork network;
  network.text_ = std::string(text);
  const std::string address(text.substr(0, text.find('/')));
  network.family_ = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const bool right = address.size() < text.size() &&
                     inet_pton(network.family_, address.c_str(), network.bytes_.data()) == 1 &&
                     absl::SimpleAtoi(text.substr(address.size() + 1), &network.prefix_) &&
                     network.prefix_ >= 0 && network.prefix_ <= 8 * BytesOf(network.family_);
  if (right) return network;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not ADDRESS/BITS, such as 10.0.0.0/8 or fd00::/8"));
}

bool IpNetwork::Contains(const sockaddr& address) const {
  if (address.sa_family != family_) return false;
  Bytes bytes = {};
  std::memcpy(bytes.data(), BytesIn(address), static_cast<std::size_t>(BytesOf(family_)));
  for (int bit = 0; bit < prefix_; ++bit) {
    const auto at = static_cast<std::size_t>(bit / 8);
    if (((bytes[at] ^ bytes_[at]) >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

absl::StatusOr<std::string> IpNetwork::OwnAddress() const {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return absl::NotFoundError("the addresses of this machine cannot be read");
  }
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, &freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    char text[INET6_ADDRSTRLEN];
    if (one->ifa_addr != nullptr && (one->ifa_flags & IFF_UP) != 0 && Contains(*one->ifa_addr) &&
        inet_ntop(family_, BytesIn(*one->ifa_addr), text, sizeof(text)) != nullptr) {
      return std::string(text);
    }
  }
  return absl::NotFoundError(absl::StrCat("this machine has no address in ", text_));
}

}  // namespace atelier
