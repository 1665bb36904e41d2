#include "server/rpc/connection_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace atelier::rpc {
namespace {

// Takes what is accepted. Thread-safe.
struct Accepted {
  ~Accepted() {
    for (const int descriptor : all) close(descriptor);
  }
  void Await(std::size_t count) {
    absl::MutexLock lock(&mutex);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return all.size() >= count; };
    mutex.Await(absl::Condition(&enough));
  }

  absl::Mutex mutex;
  std::deque<int> all ABSL_GUARDED_BY(mutex);
};

class Acceptor final : public grpc::experimental::ExternalConnectionAcceptor {
 public:
  explicit Acceptor(Accepted* accepted) : accepted_(accepted) {}
  void HandleNewConnection(NewConnectionParameters* parameters) override {
    absl::MutexLock lock(&accepted_->mutex);
    accepted_->all.push_back(parameters->fd);
  }

 private:
  Accepted* const accepted_;
};

// A connection to a port of this machine.
class Client {
 public:
  explicit Client(const std::string& address)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Waits for the other side to close it.
  bool IsClosed() const {
    char byte = 0;
    return read(socket_, &byte, 1) <= 0;
  }

 private:
  const int socket_;
};

int LowestFree() {
  const int descriptor = dup(0);
  close(descriptor);
  return descriptor;
}

TEST(ConnectionListenerTest, HandsOverWhatConnects) {
  Accepted accepted;
  auto listener = ConnectionListener::Listen({.address = "127.0.0.1:0"});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Client early((*listener)->address());
  (*listener)->Start(std::make_unique<Acceptor>(&accepted));
  const Client late((*listener)->address());
  accepted.Await(2);
}

TEST(ConnectionListenerTest, AllAddressesAreThoseOfBothFamilies) {
  Accepted accepted;
  auto listener = ConnectionListener::Listen({.address = "0.0.0.0:0"});
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ((*listener)->address().substr(0, 8), "0.0.0.0:");
  (*listener)->Start(std::make_unique<Acceptor>(&accepted));
  const Client client((*listener)->address());
  accepted.Await(1);
}

TEST(ConnectionListenerTest, ConnectionsBeyondTheLimitAreClosed) {
  Accepted accepted;
  auto listener =
      ConnectionListener::Listen({.address = "127.0.0.1:0", .last_descriptor = LowestFree() + 9});
  ASSERT_TRUE(listener.ok()) << listener.status();
  (*listener)->Start(std::make_unique<Acceptor>(&accepted));
  std::deque<Client> clients;
  clients.emplace_back((*listener)->address());
  accepted.Await(1);
  // The clients are of this process too, and take what there is up to the last descriptor.
  for (int i = 0; i < 12; ++i) clients.emplace_back((*listener)->address());
  EXPECT_TRUE(clients.back().IsClosed());
  clients.clear();
  {
    absl::MutexLock lock(&accepted.mutex);
    for (const int descriptor : accepted.all) close(descriptor);
    accepted.all.clear();
  }
  const Client again((*listener)->address());
  accepted.Await(1);
}

TEST(ConnectionListenerTest, DescriptorsAreKeptForTheServerItself) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (const auto& [limit, last] : std::vector<std::pair<rlim_t, int>>{
           {100, 50}, {400, 336}, {1024, 896}, {before.rlim_max, 0}}) {
    if (limit > before.rlim_max) continue;
    const rlimit now = {limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
    const int got = LastDescriptorForClients();
    if (last > 0) {
      EXPECT_EQ(got, last);
    }
    EXPECT_LE(got, 10'000);
    EXPECT_LT(static_cast<rlim_t>(got), limit);
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace atelier::rpc
