#include "server/rpc/open_calls.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/rpc/tcp_connection.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

TEST(OpenCallsTest, BreaksAConnectionWithTooMany) {
  TcpConnection many;
  TcpConnection few;
  PeerConnections connections;
  connections.Add(many.server());
  connections.Add(few.server());
  std::vector<std::string> broken;
  OpenCalls calls({.most = 2, .broken = [&](const std::string& peer) { broken.push_back(peer); }},
                  &connections);
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

TEST(OpenCallsTest, BreaksThoseThatSendMostWhereTooManyWait) {
  TcpConnection busy;
  TcpConnection calm;
  PeerConnections connections;
  connections.Add(busy.server());
  connections.Add(calm.server());
  std::vector<std::string> broken;
  OpenCalls calls(
      {.most_waiting = 4, .broken = [&](const std::string& peer) { broken.push_back(peer); }},
      &connections);
  calm.Ask(std::string(1000, 'x'));
  EXPECT_TRUE(WaitFor([&] { return calm.Received() == 1000; }));
  for (int i = 0; i < 3; ++i) calls.Come();  // From here on.
  busy.Ask(std::string(100, 'x'));
  calm.Ask("x");
  EXPECT_TRUE(WaitFor([&] { return busy.Received() == 100 && calm.Received() == 1001; }));
  calls.Begin(busy.peer());
  calls.Come();
  EXPECT_TRUE(broken.empty());
  calls.Come();
  EXPECT_EQ(broken, std::vector<std::string>({busy.peer()}));
  EXPECT_TRUE(busy.IsBroken());
  EXPECT_FALSE(calm.IsBroken());
}

TEST(OpenCallsTest, BreaksNobodyWhoIsUnknownOrGone) {
  PeerConnections connections;
  bool broken = false;
  OpenCalls calls({.most = 0, .broken = [&](const std::string&) { broken = true; }}, &connections);
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
