#include "client/calls/server_addresses.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Target(absl::string_view text) {
  const auto addresses = ServerAddresses::Parse(text);
  if (!addresses.ok()) return std::string(addresses.status().message());
  const auto target = TargetOf(*addresses);
  return target.ok() ? *target : std::string(target.status().message());
}

TEST(ServerAddressesTest, OneAddressIsDialledAsItIs) {
  for (const char* const address :
       {"host:50051", "[::1]:50051", "unix:/run/a,b", "dns:host:50051"}) {
    EXPECT_EQ(Target(address), address);
  }
  EXPECT_FALSE(ServerAddresses::Parse("host:50051")->balanced());
  EXPECT_FALSE(ServerAddresses::Parse("unix:/run/a,b")->balanced());
  EXPECT_TRUE(ServerAddresses::Parse("dns:host:50051")->balanced());
}

TEST(ServerAddressesTest, SeveralAreResolved) {
  const auto two = ServerAddresses::Parse("127.0.0.1:1,127.0.0.2:2");
  EXPECT_THAT(two->all, ElementsAre("127.0.0.1:1", "127.0.0.2:2"));
  EXPECT_TRUE(two->balanced());
  EXPECT_EQ(*TargetOf(*two), "ipv4:127.0.0.1:1,127.0.0.2:2");
  EXPECT_EQ(Target("[::1]:1,[::2]:2"), "ipv6:[::1]:1,[::2]:2");
  EXPECT_EQ(Target("127.0.0.1:1,[::1]:2"), "ipv6:[::1]:2,[::ffff:127.0.0.1]:1");
}

TEST(ServerAddressesTest, NamesThatLeadNowhereAreLeftOut) {
  EXPECT_EQ(Target("127.0.0.1:1,nohost.invalid:2"), "ipv4:127.0.0.1:1");
  EXPECT_THAT(Target("nohost.invalid:1,nohost.invalid:2"), HasSubstr("None of the names in"));
}

TEST(ServerAddressesTest, RefusesWhatIsNoAddress) {
  for (const char* const text : {"", "host", "host:0", "host:x", "a:1,", "a:1,,b:2", "a:1 ,b:2"}) {
    EXPECT_THAT(Target(text), HasSubstr("is not an address")) << text;
  }
  EXPECT_THAT(Target("a:1,unix:/b"), HasSubstr("cannot be one of several"));
  EXPECT_THAT(Target("dns:a:1,b:1"), HasSubstr("cannot be one of several"));
}

TEST(ServerAddressesTest, TheConfigIsJson) {
  google::protobuf::Struct config;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(BalancingConfig(), &config).ok());
}

}  // namespace
}  // namespace atelier::client
