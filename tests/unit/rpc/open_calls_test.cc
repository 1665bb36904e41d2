#include "server/rpc/open_calls.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/rpc/tcp_connection.h"

namespace atelier::rpc {
namespace {

TEST(OpenCallsTest, BreaksAConnectionWithTooMany) {
  TcpConnection many;
  TcpConnection few;
  PeerConnections connections;
  connections.Add(many.server());
  connections.Add(few.server());
  std::vector<std::string> broken;
  OpenCalls calls(2, &connections, [&](const std::string& peer) { broken.push_back(peer); });
  for (int i = 0; i < 2; ++i) {
    calls.Begin(many.peer());
    calls.Begin(few.peer());
  }
  EXPECT_TRUE(broken.empty());
  calls.End(few.peer());
  calls.Begin(few.peer());
  EXPECT_TRUE(broken.empty()) << "what has ended does not count";
  many.Ask("this is not read any more");
  calls.Begin(many.peer());
  calls.Begin(many.peer());
  EXPECT_EQ(broken, std::vector<std::string>({many.peer()}));
  EXPECT_TRUE(many.IsBroken());
  EXPECT_FALSE(few.IsBroken());
}

TEST(OpenCallsTest, BreaksNobodyWhoIsUnknownOrGone) {
  PeerConnections connections;
  bool broken = false;
  OpenCalls calls(0, &connections, [&](const std::string&) { broken = true; });
  calls.Begin("unix:");
  EXPECT_FALSE(broken);
  std::string gone;
  {
    TcpConnection connection;
    connections.Add(connection.server());
    gone = connection.peer();
  }
  calls.Begin(gone);
  EXPECT_FALSE(broken);
}

}  // namespace
}  // namespace atelier::rpc
