#include "server/rpc/open_calls.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/rpc/tcp_connection.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

// Two connections, and who was broken.
class OpenCallsTest : public testing::Test {
 protected:
  OpenCallsTest() {
    connections_.Add(many_.server());
    connections_.Add(few_.server());
  }

  TcpConnection many_;
  TcpConnection few_;
  PeerConnections connections_;
  std::vector<std::string> broken_;
  const std::function<void(const std::string&)> learn_ = [this](const std::string& peer) {
    broken_.push_back(peer);
  };
};

TEST_F(OpenCallsTest, BreaksAConnectionWithTooMany) {
  OpenCalls calls({.most = 2, .broken = learn_}, &connections_);
  for (int i = 0; i < 2; ++i) {
    calls.Begin(many_.peer());
    calls.Begin(few_.peer());
  }
  EXPECT_TRUE(broken_.empty());
  calls.End(few_.peer());
  calls.Begin(few_.peer());
  EXPECT_TRUE(broken_.empty()) << "what has ended does not count";
  many_.Ask("this is not read any more");
  calls.Begin(many_.peer());
  calls.Begin(many_.peer());
  EXPECT_EQ(broken_, std::vector<std::string>({many_.peer()}));
  EXPECT_TRUE(many_.IsBroken());
  EXPECT_FALSE(few_.IsBroken());
}

TEST_F(OpenCallsTest, BreaksThoseThatSendMostWhereTooManyWait) {
  OpenCalls calls({.most_waiting = 4, .broken = learn_}, &connections_);
  few_.Ask(std::string(1000, 'x'));
  EXPECT_TRUE(WaitFor([&] { return few_.Received() == 1000; }));
  for (int i = 0; i < 3; ++i) calls.Come();  // From here on.
  many_.Ask(std::string(100, 'x'));
  few_.Ask("x");
  EXPECT_TRUE(WaitFor([&] { return many_.Received() == 100 && few_.Received() == 1001; }));
  calls.Begin(many_.peer());
  calls.Come();
  EXPECT_TRUE(broken_.empty());
  calls.Come();
  EXPECT_EQ(broken_, std::vector<std::string>({many_.peer()}));
  EXPECT_TRUE(many_.IsBroken());
  EXPECT_FALSE(few_.IsBroken());
}

TEST_F(OpenCallsTest, BreaksNobodyWhoIsUnknownOrGone) {
  OpenCalls calls({.most = 0, .broken = learn_}, &connections_);
  calls.Begin("unix:");
  EXPECT_TRUE(broken_.empty());
  std::string gone;
  {
    TcpConnection connection;
    connections_.Add(connection.server());
    gone = connection.peer();
  }
  calls.Begin(gone);
  EXPECT_TRUE(broken_.empty());
}

}  // namespace
}  // namespace atelier::rpc
