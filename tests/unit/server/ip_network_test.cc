#include "server/base/ip_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gtest/gtest.h"

namespace atelier {
namespace {

bool Has(const char* network, const char* address) {
  const auto parsed = IpNetwork::Parse(network);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  sockaddr_storage storage = {};
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
  }
  return parsed->Contains(reinterpret_cast<const sockaddr&>(storage));
}

TEST(IpNetworkTest, ContainsTheAddressesThatBeginAsItDoes) {
  EXPECT_TRUE(Has("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(Has("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(Has("192.168.6.128/25", "192.168.6.200"));
  EXPECT_FALSE(Has("192.168.6.128/25", "192.168.6.100"));
  EXPECT_TRUE(Has("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(Has("0.0.0.0/0", "fd00::1"));
  EXPECT_TRUE(Has("fd00::/8", "fdab::1"));
  EXPECT_FALSE(Has("fd00::/8", "fe80::1"));
  EXPECT_TRUE(Has("::1/128", "::1"));
}

TEST(IpNetworkTest, RefusesWhatIsNone) {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "eth0",
                           "fd00::/129", "fd00::/", "/8", "10.0.0.0/8/8"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(IpNetwork::Parse(text).status())) << text;
  }
}

TEST(IpNetworkTest, FindsAnAddressOfThisMachine) {
  EXPECT_EQ(IpNetwork::Parse("127.0.0.0/8")->OwnAddress().value_or("none"), "127.0.0.1");
  const auto none = IpNetwork::Parse("240.0.0.0/4")->OwnAddress();  // Nobody has one.
  EXPECT_TRUE(absl::IsNotFound(none.status())) << none.status();
}

}  // namespace
}  // namespace atelier
