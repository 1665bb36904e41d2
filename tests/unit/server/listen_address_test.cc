#include "server/listen_address.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::server {
namespace {

using ::testing::HasSubstr;

TEST(ListenAddressTest, ReadsHostsAndPorts) {
  for (const char* text : {"127.0.0.1:0", "0.0.0.0:65535", "[::1]:50051", "some.host:1"}) {
    const auto address = ListenAddress::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
    EXPECT_EQ(address->socket, "");
  }
  EXPECT_EQ(ListenAddress::Parse("[::1]:50051")->port, 50051);
  EXPECT_EQ(ListenAddress::Parse("localhost:7")->ToString(), "127.0.0.1:7");
}

TEST(ListenAddressTest, ReadsSockets) {
  const auto address = ListenAddress::Parse("unix:/run/a.sock");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->socket, "/run/a.sock");
  EXPECT_EQ(address->ToString(), "unix:/run/a.sock");
}

TEST(ListenAddressTest, RefusesWhatIsNone) {
  for (const char* text : {"", "nonsense", ":", ":50051", "host:", "host:-1", "host:65536",
                           "host:x", "::1:50051", "unix:", "unix:relative"}) {
    EXPECT_EQ(ListenAddress::Parse(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(ListenAddressTest, RefusesASocketPathThatTheSystemCannotTake) {
  EXPECT_TRUE(ListenAddress::Parse("unix:/" + std::string(106, 'a')).ok());
  const auto address = ListenAddress::Parse("unix:/" + std::string(107, 'a'));
  EXPECT_THAT(std::string(address.status().message()), HasSubstr("107"));
}

TEST(ListenAddressTest, KnowsWhatOnlyThisMachineReaches) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/a"}) {
    EXPECT_TRUE(ListenAddress::Parse(text)->IsLocal()) << text;
  }
  for (const char* text :
       {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1", "[fe80::1]:1"}) {
    EXPECT_FALSE(ListenAddress::Parse(text)->IsLocal()) << text;
  }
}

}  // namespace
}  // namespace atelier::server
