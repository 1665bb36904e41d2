#include "server/webhooks/address_rules.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace atelier::webhooks {
namespace {

bool Public(const std::string& text) {
  sockaddr_in6 six = {};
  six.sin6_family = AF_INET6;
  if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    return IsPublic(reinterpret_cast<const sockaddr&>(six));
  }
  sockaddr_in four = {};
  four.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text.c_str(), &four.sin_addr), 1) << text;
  return IsPublic(reinterpret_cast<const sockaddr&>(four));
}

TEST(AddressRulesTest, AddressesOfTheInternetArePublic) {
  for (const char* const text :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1111", "3fff:ffff::1",
        "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"}) {
    EXPECT_TRUE(Public(text)) << text;
  }
}

TEST(AddressRulesTest, AddressesOfMachinesAndLocalNetworksAreNot) {
  for (const char* const text :
       {"0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
    EXPECT_FALSE(Public(text)) << text;
    EXPECT_FALSE(Public(std::string("::ffff:") + text)) << text;
    EXPECT_FALSE(Public(std::string("64:ff9b::") + text)) << text;
  }
  for (const char* const text : {"::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1",
                                 "2001:db8::1", "2001::1", "2002:7f00:1::1", "2002:a00:1::1"}) {
    EXPECT_FALSE(Public(text)) << text;
  }
}

TEST(AddressRulesTest, OtherFamiliesAreNot) {
  sockaddr address = {};
  address.sa_family = AF_UNIX;
  EXPECT_FALSE(IsPublic(address));
}

}  // namespace
}  // namespace atelier::webhooks
