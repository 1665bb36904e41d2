#include "server/rpc/corked_connections.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "gtest/gtest.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/open_inference_service.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/tcp_connection.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

TEST(CorkedConnectionsTest, WhatABatchAnswersLeavesAtItsEnd) {
  TcpConnection connection;
  TcpConnection other;
  PeerConnections open;
  CorkedConnections connections(&open);
  open.Add(connection.server());
  open.Add(other.server());
  connections.Begin();
  for (const char* answer : {"one ", "two ", "three"}) {
    connections.Cork(connection.peer());
    connection.Answer(answer);
  }
  EXPECT_EQ(connection.ReadNow(), "");
  EXPECT_FALSE(other.IsCorked());
  connections.End();
  EXPECT_EQ(connection.Read(), "one two three");
}

TEST(CorkedConnectionsTest, OutsideOfABatchNothingIsHeldUp) {
  TcpConnection connection;
  PeerConnections open;
  CorkedConnections connections(&open);
  open.Add(connection.server());
  connections.Cork(connection.peer());
  EXPECT_FALSE(connection.IsCorked());
  connections.Begin();
  connections.End();
  connections.Cork(connection.peer());
  EXPECT_FALSE(connection.IsCorked());
}

TEST(CorkedConnectionsTest, ADescriptorBelongsToItsNewestConnection) {
  PeerConnections open;
  CorkedConnections connections(&open);
  int descriptor = -1;
  std::string gone;
  {
    TcpConnection first;
    descriptor = first.server();
    gone = first.peer();
    open.Add(descriptor);
  }
  TcpConnection second;
  ASSERT_EQ(dup2(second.server(), descriptor), descriptor);
  open.Add(descriptor);
  connections.Begin();
  connections.Cork(gone);
  EXPECT_FALSE(second.IsCorked());
  connections.Cork(second.peer());
  EXPECT_TRUE(second.IsCorked());
  connections.End();
  if (descriptor != second.server()) close(descriptor);
}

TEST(CorkedConnectionsTest, LeavesOtherSocketsAlone) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  PeerConnections open;
  CorkedConnections connections(&open);
  open.Add(pair[0]);
  connections.Begin();
  connections.Cork("unix:");
  EXPECT_EQ(write(pair[0], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(recv(pair[1], &byte, 1, MSG_DONTWAIT), 1);
  connections.End();
  for (const int end : pair) close(end);
}

// Segments with data that the process has sent from a port.
int SegmentsFrom(int port) {
  int segments = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    int descriptor = -1;
    sockaddr_in6 address = {};
    socklen_t size = sizeof(address);
    tcp_info info = {};
    if (!absl::SimpleAtoi(entry.path().filename().string(), &descriptor) ||
        getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        ntohs(address.sin6_port) != port) {
      continue;
    }
    size = sizeof(info);
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
      segments += static_cast<int>(info.tcpi_data_segs_out);
    }
  }
  return segments;
}

// Counts the requests that wait for an engine or did.
class CountingObserver final : public serving::ServingObserver, public serving::VersionObserver {
 public:
  std::shared_ptr<serving::VersionObserver> Observe(const std::string& /*model*/,
                                                    std::int64_t /*version*/) override {
    // It outlives the classifier.
    return {std::shared_ptr<void>(), this};
  }
  void QueueChanged(std::int64_t images) override {
    if (images > 0) ++requests;
  }
  std::atomic<int> requests = 0;
};

// Services whose engine waits for `gate_`, so that most calls are one batch.
class AnswersTogetherTest : public testing::TestWithParam<const char*> {
 protected:
  using Done = std::function<void(grpc::Status)>;
  static constexpr int kCalls = 32;

  AnswersTogetherTest() {
    folder_.Write("archive", "x");
    versions_.Add({"net", 1, folder_.File("archive"), ""});
    engine_->gate = &gate_;
    auto server = GrpcServer::Start({.address = GetParam(),
                                     .credentials = grpc::InsecureServerCredentials(),
                                     .public_services = true,
                                     .connections = &open_},
                                    {{"classify", &service_}, {"infer", &open_service_}});
    if (!server.ok()) return;  // No IPv6 here.
    server_ = *std::move(server);
    const std::string& address = server_->address();
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port_));
    channel_ = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }

  serving::Classifier::Options Serving() {
    serving::Classifier::Options options;
    options.batching.answers = &connections_;
    options.versions.observer = &observer_;
    return options;
  }

  // In how many segments the answers to calls come that `send` sends.
  template <typename Send>
  int CountSegments(const Send& send) {
    absl::BlockingCounter open(kCalls);
    std::deque<grpc::ClientContext> contexts(kCalls);
    for (grpc::ClientContext& context : contexts) {
      send(&context, [&open](const grpc::Status& status) {
        EXPECT_TRUE(status.ok()) << status.error_message();
        open.DecrementCount();
      });
    }
    EXPECT_TRUE(WaitFor([&] { return observer_.requests == kCalls; }));
    const int before = SegmentsFrom(port_);
    gate_.Notify();
    open.Wait();
    return SegmentsFrom(port_) - before;
  }

  models::TemporaryFolder folder_;
  serving::FakeVersions versions_;
  CountingObserver observer_;
  absl::Notification gate_;
  const std::shared_ptr<serving::FakeEngine> engine_ = std::make_shared<serving::FakeEngine>();
  PeerConnections open_;
  CorkedConnections connections_{&open_};
  serving::Classifier classifier_{
      Serving(), &versions_,
      [this](const serving::Version&) -> serving::EngineResult { return engine_; }};
  TaskQueue tasks_{{.name = "test", .threads = 1, .capacity = 10}};
  InferenceService service_{&classifier_, &connections_};
  OpenInferenceService open_service_{&classifier_, &tasks_, &tasks_, "", nullptr, &connections_};
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  int port_ = 0;
};

TEST_P(AnswersTogetherTest, ToClassify) {
  if (server_ == nullptr) GTEST_SKIP();
  const auto stub = v1::InferenceService::NewStub(channel_);
  v1::ClassifyRequest request;
  request.set_model("models/net");
  request.mutable_raw()->set_pixels(std::string({1, 0}));
  std::deque<v1::ClassifyResponse> responses;
  const int segments = CountSegments([&](grpc::ClientContext* context, Done done) {
    stub->async()->Classify(context, &request, &responses.emplace_back(), std::move(done));
  });
  EXPECT_LT(segments, kCalls / 2);
}

TEST_P(AnswersTogetherTest, ToModelInfer) {
  if (server_ == nullptr) GTEST_SKIP();
  const auto stub = inference::GRPCInferenceService::NewStub(channel_);
  inference::ModelInferRequest request;
  request.set_model_name("net");
  auto* input = request.add_inputs();
  input->set_name("images");
  input->set_datatype("UINT8");
  for (const std::int64_t extent : {1, 1, 1, 2}) input->add_shape(extent);
  request.add_raw_input_contents(std::string({1, 0}));
  std::deque<inference::ModelInferResponse> responses;
  const int segments = CountSegments([&](grpc::ClientContext* context, Done done) {
    stub->async()->ModelInfer(context, &request, &responses.emplace_back(), std::move(done));
  });
  EXPECT_LT(segments, kCalls / 2);
}

INSTANTIATE_TEST_SUITE_P(Families, AnswersTogetherTest, testing::Values("127.0.0.1:0", "[::1]:0"));

}  // namespace
}  // namespace atelier::rpc
